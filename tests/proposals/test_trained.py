"""Proposals of a trained segmenter: what of its checkpoint is asked for, and that a task carries it along."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import likewise
from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import InputError, WeightsError
from likewise.proposals.segmenter import Segmenter, SegmenterConfig
from likewise.proposals.trained import Trained
from likewise.weights import Card, write_checkpoint

SMALL = SegmenterConfig(channels=(48, 48, 48, 48), width=32, heads=4, queries=5, encoder_layers=1, encoder_hidden=20, decoder_layers=3, decoder_hidden=12)
BACKBONE = "random:vit-tiny-14"


def segmenter(config=SMALL):
    """One whose masks differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = Segmenter(config).eval().requires_grad_(False)
        for name, tensor in module.named_parameters():
            if "mask_embedder" in name or "queries_" in name:
                tensor.normal_(std=0.6)
    return module


def written(path: Path, change=None, **card):
    """A checkpoint with the tensors of the segmenter, changed or not."""
    tensors = {f"segmenter.{name}": tensor.clone() for name, tensor in segmenter().state_dict().items()}
    settings = {"heads": 4, "side": 96, "layers": [0, 1, 2, 3]}
    write_checkpoint(change(tensors) if change else tensors, path, Card("mm-former", settings, **card))
    return path


def features(seed=0, grid=(6, 9)):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(4, grid[0] * grid[1], 48, generator=generator)
    return ImageFeatures(tokens.half(), torch.zeros(4, 1, 48), grid, (8 * grid[0], 8 * grid[1]))


@pytest.fixture
def photo():
    return np.random.default_rng(5).integers(0, 255, (84, 126, 3), np.uint8)


def test_the_surest_mask_comes_first_and_none_is_nowhere(tmp_path):
    source = Trained.opened(written(tmp_path / "a.safetensors"))
    found = source.propose(features())
    inside = found.masks > 0.5
    sure = (found.masks * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2))
    assert 0 < len(found) <= SMALL.queries
    assert bool((sure.diff() <= 0).all())
    assert source.wants().layers == (0, 1, 2, 3)
    assert source.wants().side == 96


def test_what_is_kept_of_it_gives_the_same_masks(tmp_path):
    source = Trained.opened(written(tmp_path / "a.safetensors", backbone={"name": "x", "sha256": "12"}))
    again = Trained.restored(source.tensors, source.facts)
    assert torch.equal(again.propose(features()).masks, source.propose(features()).masks)
    assert (again.heads, again.side, again.layers, again.backbone) == (4, 96, (0, 1, 2, 3), {"name": "x", "sha256": "12"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: {"learner.weight": torch.zeros(2)}, "holds no segmenter"),
        (lambda tensors: dict(list(tensors.items())[1:]), "segmenter"),
        (lambda tensors: {**tensors, "segmenter.more": torch.zeros(1)}, "segmenter.more|unexpected"),
        (lambda tensors: {**tensors, "backbone.layer0.0.weight": torch.zeros(1)}, "backbone of its own"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path, change, told):
    with pytest.raises(WeightsError, match=told) as raised:
        Trained.opened(written(tmp_path / "other.safetensors", change))
    assert "other.safetensors" in raised.value.where


def test_another_backbone_is_refused(tmp_path):
    source = Trained.opened(written(tmp_path / "a.safetensors", backbone={"name": "big", "sha256": "ab" * 32}))
    source.check("big", "ab" * 32, 48)
    for told in (("big", "cd" * 32, 48), ("small", "ab" * 32, 48), ("big", "ab" * 32, 49)):
        with pytest.raises(InputError, match="big") as raised:
            source.check(*told)
        assert "--backbone big" in raised.value.remedy
    with pytest.raises(InputError):
        replace(source, backbone={}).check("any", "", 49)


def test_a_task_holds_the_segmenter_and_goes_on_without_the_file(tmp_path, photo):
    checkpoint = written(tmp_path / "a.safetensors")
    mask = np.zeros(photo.shape[:2], bool)
    mask[10:50, 20:60] = True
    task = likewise.learn(Support([Example(photo, "a", masks={"thing": mask})]), method="proposals", backbone=BACKBONE, masks=str(checkpoint), side=96)
    expected = task.predict(photo)
    task.save(tmp_path / "a.task")
    checkpoint.unlink()
    again = likewise.load(tmp_path / "a.task").predict(photo)
    assert (again.scores == expected.scores).all()
    assert (again.labels == expected.labels).all()


def test_a_segmenter_of_another_width_is_refused_before_anything_is_learned(tmp_path, photo):
    checkpoint = written(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="48 channels"):
        likewise.learn(
            Support([Example(photo, "a", masks={"thing": photo[..., 0] > 90})]), method="proposals", backbone="random:vit-tiny-8", masks=str(checkpoint)
        )
