"""The weights that come with VTM: whole, small, and of pictures that may be used so."""

import numpy as np
import pytest
import torch

from likewise import learn, load
from likewise.data import Example, Support, Target
from likewise.errors import WeightsError
from likewise.methods.vtm import VisualTokenMatching
from likewise.methods.vtm.checkpoint import head_of
from likewise.methods.vtm.model import HeadConfig, untrained_head
from likewise.task.equipping import equip, shipped_for
from likewise.weights import Card, entries, read_card, read_checkpoint, write_checkpoint

BACKBONE = "dinov2-reg-small-sphere"


@pytest.fixture(params=VisualTokenMatching.shipped(), ids=lambda path: path.stem)
def path(request):
    return request.param


def test_each_is_small_and_has_a_page_and_a_backbone_that_is_known(path):
    card = read_card(path)
    assert path.stat().st_size < 1_000_000
    assert path.with_suffix(".md").read_text().startswith(f"# {path.stem}")
    assert card.method == "vtm"
    assert card.backbone["name"] in entries()
    assert len(card.backbone["sha256"]) == 64


def test_each_is_a_head_for_its_backbone(path):
    tensors, _ = read_checkpoint(path)
    head = head_of(tensors, heads=read_card(path).settings["label_heads"])
    assert (head.config.image_width, head.config.patch) == (384, 14)
    assert all(torch.isfinite(tensor).all() for tensor in head.state_dict().values())


def test_it_saw_no_picture_but_those_that_allow_it(path):
    assert [(source["benchmark"], source["images"]) for source in read_card(path).trained_on] == [("classes_train", 252), ("caltech_mini", 960)]


def test_it_is_taken_on_its_backbone_where_no_checkpoint_is_given():
    assert shipped_for("vtm", BACKBONE).stem == "open-dense"
    assert shipped_for("vtm", "dino-small-8") is None
    with pytest.warns(UserWarning, match="vtm takes open-dense"):
        assert equip("vtm", "default", {}, None, BACKBONE).method.settings.label_heads == 2


def test_a_task_finds_weights_of_the_program_wherever_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    own, moved = tmp_path / "here/own.safetensors", tmp_path / "there/own.safetensors"
    head = untrained_head(HeadConfig(image_width=48, width=12, depth=4, heads=2, patch=14, grid=3, reassembled=(4, 6, 8, 10), fused=8))
    write_checkpoint(head.state_dict(), own, Card("vtm", {"label_heads": 2}, {"name": "random:vit-tiny-14"}))
    pixels = np.random.default_rng(3).integers(0, 255, (44, 50, 3), np.uint8)
    support = Support([Example(pixels, "a", dense={"light": pixels.mean(axis=2).astype(np.float32) / 255})], targets={"light": Target()})
    learn(support, "vtm", checkpoint=own, device="cpu", engine="torch").save(tmp_path / "a.task")
    own.rename(moved)
    with pytest.raises(WeightsError, match="is not here"):
        load(tmp_path / "a.task").predict(pixels)
    monkeypatch.setattr(VisualTokenMatching, "shipped", classmethod(lambda cls: (moved,)))
    assert load(tmp_path / "a.task").predict(pixels).dense["light"].shape == (44, 50)
