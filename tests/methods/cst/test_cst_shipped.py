"""The weights that come with CST: whole, small, and of pictures that may be used so."""

from pathlib import Path

import pytest
import torch

from likewise.methods.cst import Cst
from likewise.methods.cst.checkpoint import learner_of
from likewise.task.equipping import equip, shipped_for
from likewise.weights import entries, read_card, read_checkpoint

LIST = Path(__file__).parents[3] / "recipes/cst/open-pictures.txt"
BACKBONE = "dinov2-reg-small-sphere"


@pytest.fixture(params=Cst.shipped(), ids=lambda path: path.stem)
def path(request):
    return request.param


def test_each_is_small_and_has_a_page_and_a_backbone_that_is_known(path):
    card = read_card(path)
    assert path.stat().st_size < 1_000_000
    assert path.with_suffix(".md").read_text().startswith(f"# {path.stem}")
    assert card.method == "cst"
    assert card.backbone["name"] in entries()
    assert len(card.backbone["sha256"]) == 64


def test_each_is_a_learner_of_the_settings_that_it_names(path):
    tensors, _ = read_checkpoint(path)
    settings = Cst.Settings().changed(**read_card(path).settings)
    learner = learner_of(tensors, side=settings.square, kernels=settings.kernels)
    assert all(torch.isfinite(tensor).all() for tensor in learner.state_dict().values())


def test_every_photograph_of_others_is_credited():
    credits = (Cst.shipped()[0].parent / "open-pixel-credits.txt").read_text()
    listed = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    photographs = [line for line in listed if line.isdecimal()]
    assert len(photographs) == 10
    assert all(f"{name}  " in credits for name in photographs)
    classes = read_card(Cst.shipped()[0]).trained_on[0]["classes"]
    assert {line.rpartition("_")[0] for line in listed if not line.isdecimal()} == set(classes)


def test_it_is_taken_on_its_backbone_where_no_checkpoint_is_given():
    assert shipped_for("cst", BACKBONE).stem == "open-pixel"
    assert shipped_for("cst", "dino-small-8") is None
    assert shipped_for("prototype", BACKBONE) is None
    with pytest.warns(UserWarning, match="cst takes open-pixel"):
        found = equip("cst", "default", {}, None, BACKBONE)
    assert (found.method.settings.side, found.method.settings.pseudo) == (280, "walk")
    assert equip("cst", "default", {}, "random", BACKBONE).method.settings.side == 400
