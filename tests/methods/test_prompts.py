"""Coarse labels become soft patch labels: on a picture whose object is known, most of what is found is right."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import InputError
from likewise.methods.prompts import patch_labels, require_some

GRID, SIZE = (8, 10), (80, 100)


def scene(seed, *, object_at=(slice(2, 6), slice(3, 8)), with_object=True):
    """Features of an image whose object's patches point one way and whose ground points another, with noise."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.zeros(GRID, dtype=torch.bool)
    if with_object:
        truth[object_at] = True
    directions = torch.eye(16)[:2]
    tokens = directions[truth.reshape(-1).long()] + 0.15 * torch.randn(80, 16, generator=generator)
    return ImageFeatures(tokens[None].half(), torch.zeros(1, 1, 16), GRID, SIZE), truth.reshape(-1)


def image():
    return np.zeros((*SIZE, 3), np.uint8)


def test_a_mask_becomes_the_share_of_each_patch():
    label_map = np.zeros(SIZE, np.uint8)
    label_map[:, :5], label_map[40:, 95:] = 1, 255
    (found,) = patch_labels(Support([Example(image(), label_map=label_map)], classes={1: "a"}), [scene(0)[0]])
    shares = found.shares.reshape(*GRID, 2)
    assert shares[0, 0].tolist() == [0.5, 0.5]
    assert shares[0, 1].tolist() == [1, 0]
    assert found.weight.reshape(GRID)[7, 9] == 0.5
    assert shares[7, 9].tolist() == [1, 0]


def test_unlabelled_pixels_count_for_nothing_where_they_are_unknown():
    label_map = np.zeros(SIZE, np.uint8)
    label_map[:20, :30] = 1
    (found,) = patch_labels(Support([Example(image(), label_map=label_map, unlabelled="unknown")], classes={1: "a"}), [scene(0)[0]])
    assert int((found.weight > 0).sum()) == 6
    assert (found.shares[found.weight > 0, 1] == 1).all()


def test_a_box_shrinks_to_the_object_inside_it():
    features, truth = scene(1)
    (found,) = patch_labels(Support([Example(image(), boxes={"a": [(20, 10, 90, 70)]})]), [features])
    ours = found.shares[:, 1] > 0.5
    assert (ours & truth).sum() >= 0.9 * truth.sum()
    assert (ours & ~truth).sum() <= 2


def test_boxes_that_cover_everything_stay_whole():
    (found,) = patch_labels(Support([Example(image(), boxes={"a": [(0, 0, 100, 80)]})]), [scene(1)[0]])
    assert (found.shares[:, 1] == 1).all()


def test_a_point_grows_over_what_looks_alike_and_unlike_patches_become_background():
    features, truth = scene(2)
    (found,) = patch_labels(Support([Example(image(), points={"a": {"positive": [(50, 40)], "negative": [(5, 5)]}})]), [features])
    ours = (found.shares[:, 1] > 0.5) & (found.weight > 0)
    assert (ours & truth).sum() > 0.7 * truth.sum()
    assert not (ours & ~truth).any()
    assert found.weight.max() == 1
    assert ((found.shares[:, 0] > 0.5) & (found.weight > 0)).sum() > 20


def test_a_scribble_marks_the_patches_it_passes():
    features, _ = scene(2)
    (found,) = patch_labels(Support([Example(image(), scribbles={"a": [[(35, 35), (75, 35)]]})]), [features])
    assert (found.weight.reshape(GRID)[3, 3:8] == 1).all()


def test_tags_find_what_tagged_images_share_and_the_others_lack():
    scenes = [scene(3), scene(4, object_at=(slice(0, 4), slice(0, 5))), scene(5, with_object=False)]
    examples = [Example(image(), f"{index}", tags={"a": index < 2}) for index in range(3)]
    found = patch_labels(Support(examples), [features for features, _ in scenes])
    for (_, truth), labels in zip(scenes[:2], found[:2], strict=True):
        ours = labels.shares[:, 1] > 0.5
        assert (ours & truth).sum() / (ours | truth).sum() > 0.7
    assert (found[2].shares[:, 0] == 1).all()


def test_a_support_without_any_labelled_patch_is_an_error():
    support = Support([Example(image(), tags={"a": True, "b": False}), Example(image(), "two", label_map=np.full(SIZE, 255, np.uint8))])
    found = patch_labels(support.subset([1]), [scene(0)[0]])
    with pytest.raises(InputError, match="no pixel"):
        require_some(found)
