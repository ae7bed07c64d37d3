"""A method with its checkpoint: what the checkpoint says of itself is applied, unless the user says otherwise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import likewise
from likewise import Example, Support
from likewise.errors import UsageError, WeightsError
from likewise.methods.convert import convert_checkpoint
from likewise.methods.cst import Cst
from likewise.methods.cst.model import untrained
from likewise.task.equipping import equip
from likewise.weights import Card, read_card, write_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

BACKBONE = "random:vit-tiny-14"
SETTINGS = {"side": 70, "pseudo": "walk", "square": 18, "kernels": [3, 6], "threshold": 0.55}


@pytest.fixture
def tensors():
    return untrained(4 * 3, 18, (3, 6)).state_dict()


@pytest.fixture
def path(tmp_path, tensors):
    """A checkpoint with a card."""
    write_checkpoint(tensors, tmp_path / "own.safetensors", Card("cst", SETTINGS, {"name": BACKBONE}))
    return tmp_path / "own.safetensors"


@pytest.fixture
def support():
    pixels = np.random.default_rng(0).integers(0, 255, (60, 75, 3), np.uint8)
    mask = np.zeros((60, 75), np.uint8)
    mask[12:40, 20:55] = 1
    return Support([Example(pixels, "a", label_map=mask)], classes={1: "red"})


def test_the_settings_of_a_checkpoint_are_applied(path):
    settings = equip("cst", "default", {}, path).method.settings
    assert (settings.side, settings.pseudo, settings.square, settings.kernels, settings.threshold) == (70, "walk", 18, (3, 6), 0.55)


def test_what_the_user_sets_goes_before_them(path):
    settings = equip("cst", "default", {"side": 84, "pseudo": "tokens"}, path).method.settings
    assert (settings.side, settings.pseudo, settings.square) == (84, "tokens", 18)


def test_learn_takes_settings_and_backbone_of_the_checkpoint(path, support):
    task = likewise.learn(support, method="cst", checkpoint=path, device="cpu", engine="torch", precision="float32")
    assert task.weights["backbone"]["name"] == BACKBONE
    assert task.method.settings.side == 70
    assert task.memory.tensors["hidden.0"].shape == (1, 18 * 18)


def test_another_backbone_is_refused(path, support):
    with pytest.raises(WeightsError, match="was trained on the backbone 'random:vit-tiny-14', not on 'random:vit-tiny-8'"):
        likewise.learn(support, method="cst", checkpoint=path, backbone="random:vit-tiny-8", device="cpu", engine="torch")


def test_another_backbone_of_the_same_name_is_refused(tmp_path, tensors, support):
    card = Card("cst", SETTINGS, {"name": BACKBONE, "sha256": "f" * 64})
    write_checkpoint(tensors, tmp_path / "a.safetensors", card)
    with pytest.raises(WeightsError, match="ffffffffffff"):
        likewise.learn(support, method="cst", checkpoint=tmp_path / "a.safetensors", device="cpu", engine="torch")
    write_checkpoint(tensors, tmp_path / "b.safetensors", replace(card, backbone={}))
    found = likewise.learn(support, method="cst", checkpoint=tmp_path / "b.safetensors", backbone=BACKBONE, device="cpu", engine="torch")
    assert found.method.settings.side == 70


def test_a_checkpoint_without_a_card_works_with_the_settings_that_are_given(tmp_path, tensors):
    write_checkpoint(tensors, tmp_path / "a.safetensors")
    assert equip("cst", "default", {}, tmp_path / "a.safetensors").method.settings == Cst.Settings()
    found = equip("cst", "default", {"square": 18, "kernels": (3, 6)}, tmp_path / "a.safetensors", BACKBONE)
    assert found.card is None
    assert found.backbone == BACKBONE
    assert found.method.settings.side == 400


def test_a_checkpoint_of_another_method_and_one_of_a_later_version_are_refused(tmp_path, tensors):
    write_checkpoint(tensors, tmp_path / "a.safetensors", Card("hsnet"))
    with pytest.raises(WeightsError, match="of the method 'hsnet', not of 'cst'"):
        equip("cst", "default", {}, tmp_path / "a.safetensors")
    write_checkpoint(tensors, tmp_path / "b.safetensors", Card("cst", {"sides": 3}))
    with pytest.raises(WeightsError, match="not known here \\(sides\\)"):
        equip("cst", "default", {}, tmp_path / "b.safetensors")


def test_a_method_without_checkpoints_takes_none():
    assert equip("prototype", "default", {}).weights == {}
    with pytest.raises(UsageError, match="no checkpoint"):
        equip("prototype", "default", {}, "random")


def test_weights_that_come_with_the_program_are_taken_where_they_fit_the_backbone(path, monkeypatch):
    monkeypatch.setattr(Cst, "shipped", classmethod(lambda cls: (path,)))
    with pytest.warns(UserWarning, match="cst takes own"):
        found = equip("cst", "default", {}, None, BACKBONE)
    assert found.weights["checkpoint"]["name"] == "own.safetensors"
    assert equip("cst", "default", {}, "random", BACKBONE).weights["checkpoint"]["name"] == "random"
    with pytest.raises(WeightsError, match="needs trained weights on the backbone 'random:vit-tiny-8'"):
        equip("cst", "default", {}, None, "random:vit-tiny-8")


def test_a_converted_checkpoint_has_the_published_settings(tmp_path):
    state = {f"learner.{name}": tensor for name, tensor in untrained().state_dict().items()}
    torch.save({"state_dict": state | {"backbone.patch_embed.proj.weight": torch.zeros(384, 3, 8, 8)}}, tmp_path / "a.ckpt")
    convert_checkpoint("cst", tmp_path / "a.ckpt", tmp_path / "a.safetensors")
    card = read_card(tmp_path / "a.safetensors")
    assert card.backbone == {"name": "dino-small-8"}
    assert (card.settings["side"], card.settings["pseudo"], card.settings["kernels"]) == (400, "attention", [4, 3])
    assert equip("cst", "default", {}, tmp_path / "a.safetensors").backbone == "dino-small-8"
    torch.save({"state_dict": state}, tmp_path / "b.ckpt")
    convert_checkpoint("cst", tmp_path / "b.ckpt", tmp_path / "b.safetensors")
    assert read_card(tmp_path / "b.safetensors").backbone == {}
