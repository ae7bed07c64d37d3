"""Proposals of SAM and SAM 2 asked about a grid of points: small networks with random numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

import likewise
from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import WeightsError
from likewise.proposals.points import Points
from sam_small import small_sam

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A SAM of 64 pixels, whose masks are far from flat."""
    network, generator = small_sam(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(("mask_decoder", "prompt_encoder")) and "norm" not in name:
                parameter.normal_(std=0.2, generator=generator)
    place = tmp_path_factory.mktemp("sam")
    network.save_pretrained(place)
    return place


def open_minded(folder, **settings):
    return replace(Points.opened(folder), **{"grid": 3, "trust": -torch.inf, "stable": 0.0, "offset": 0.02, "overlap": 0.7, **settings})


def seen(source):
    """A picture as the provider hands it to the source."""
    return ImageFeatures(torch.zeros(0, 0, 0), torch.zeros(0, 0, 0), (0, 0), (40, 60), pixels=torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()))


def test_masks_fill_the_part_of_the_square_that_the_picture_fills_and_none_is_there_twice(folder):
    found = open_minded(folder).propose(seen(folder)).masks
    assert found.shape[1:] == (172, 256)  # 43 x 64 of the square
    assert 1 < len(found) < 27
    inside = (found > 0.5).flatten(1).float()
    both = inside @ inside.T
    iou = both / (inside.sum(dim=1)[:, None] + inside.sum(dim=1) - both)
    assert iou.fill_diagonal_(0).max() <= 0.7


def test_how_points_are_grouped_does_not_change_the_masks(folder):
    one, many = (open_minded(folder, batch=batch).propose(seen(folder)).masks for batch in (2, 64))
    assert torch.allclose(one, many, atol=1e-5)


def test_only_masks_that_the_network_trusts_and_that_stay_are_kept(folder):
    every = open_minded(folder, overlap=2.0)
    assert len(every.propose(seen(folder))) > len(replace(every, stable=0.9).propose(seen(folder)))
    assert len(replace(every, trust=torch.inf).propose(seen(folder))) == 0
    assert len(replace(every, count=2).propose(seen(folder))) == 2


def test_a_task_names_the_folder_and_refuses_other_weights_in_it(folder, tmp_path):
    place = tmp_path / "sam"
    place.mkdir()
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:50] = True
    support = Support([Example(PICTURE, "a", masks={"thing": mask})])
    task = likewise.learn(support, method="proposals", backbone="random:vit-tiny-14", masks=str(place), side=84)
    expected = task.predict(PICTURE)
    task.save(tmp_path / "a.task")
    assert (likewise.load(tmp_path / "a.task").predict(PICTURE).scores == expected.scores).all()
    other = transformers.SamModel.from_pretrained(place)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    other.save_pretrained(place)
    with pytest.raises(WeightsError, match="learned with"):
        likewise.load(tmp_path / "a.task").predict(PICTURE)


def test_a_folder_without_weights_is_refused_by_name(tmp_path):
    support = Support([Example(PICTURE, "a", masks={"thing": PICTURE[..., 0] > 90})])
    for masks in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(WeightsError) as raised:
            likewise.learn(support, method="proposals", backbone="random:vit-tiny-14", masks=str(masks))
        assert str(masks) in raised.value.where
