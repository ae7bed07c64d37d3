"""Prompts and pictures in the square of the network, and back."""

import numpy as np
import pytest
import torch

from likewise.data import Example, Support
from likewise.data.image_prompts import ImagePrompts, spread_along
from likewise.methods.label_anything.pictures import MASK_SIDE, Frame
from likewise.methods.label_anything.prompts import prompts_from


def test_positions_are_placed_where_the_picture_is():
    image = ImagePrompts((40, 80), positive={3: np.array([[20.0, 10.0]])}, boxes={3: np.array([[8.0, 4.0, 40.0, 20.0]])})
    padded, square = (prompts_from([image], [3], Frame(160, padded=padded), official=False) for padded in (True, False))
    assert (padded.points[0, 0, 1, 0] + 0.5).tolist() == [40.0, 20.0]
    assert (square.points[0, 0, 1, 0] + 0.5).tolist() == [40.0, 40.0]
    assert (padded.boxes[0, 0, 1, 0] + 0.5).tolist() == [16.0, 8.0, 80.0, 40.0]
    assert (square.boxes[0, 0, 1, 0] + 0.5).tolist() == [16.0, 16.0, 80.0, 80.0]


def test_published_points_are_pixels_by_their_number():
    image = ImagePrompts((40, 80), positive={1: np.array([[20.5, 10.5]])})
    assert prompts_from([image], [1], Frame(160, padded=True)).points[0, 0, 1, 0].tolist() == [40.0, 20.0]


def test_slots_are_filled_up_and_flags_say_what_is_there():
    one = ImagePrompts((9, 9), positive={1: np.ones((3, 2))}, negative={1: np.ones((1, 2)), 2: np.ones((2, 2))})
    two = ImagePrompts((9, 9), boxes={2: np.array([[1.0, 1, 3, 3]])}, masks={1: np.ones((9, 9), bool)})
    asked = prompts_from([one, two], [1, 2], Frame(32, padded=False))
    assert asked.point_flags[0].tolist() == [[[0] * 4, [1, 1, 1, -1], [-1, -1, 0, 0]], [[0] * 4] * 3]
    assert asked.box_flags[0, :, :, 0].tolist() == [[0, 0, 0], [0, 0, 1]]
    assert asked.mask_flags[0].tolist() == [[0, 0, 0], [0, 1, 0]]
    assert asked.some()[0].tolist() == [[True, True, True], [True, True, True]]


def test_an_object_that_vanishes_in_a_small_mask_is_kept_in_the_sane_form():
    mask = np.zeros((2000, 3000), bool)
    mask[777, 1234] = True
    for padded in (True, False):
        frame = Frame(1024, padded=padded)
        assert not frame.mask(mask).any()
        found = frame.mask(mask, official=False)
        (row,), (column,) = np.nonzero(found)
        height, width = frame.inner((2000, 3000))
        assert abs(row / MASK_SIDE * 1024 / height - 777 / 2000) < 0.01
        assert abs(column / MASK_SIDE * 1024 / width - 1234 / 3000) < 0.01


def test_labels_of_every_kind_become_prompts():
    picture = np.zeros((20, 30, 3), np.uint8)
    below, above = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    below[2:12, 2:12], above[4:8, 4:8] = True, True
    example = Example(picture, "x", masks={"a": below, "b": above}, scribbles={"c": [[(1, 1), (9, 1)]]}, points={"d": {"positive": [(3, 4)]}})
    labels = Support([example], classes={1: "a", 2: "b", 3: "c", 4: "d"}).examples[0].labels
    found = ImagePrompts.of(labels)
    assert found.numbers() == {1, 2, 3, 4}
    assert np.array_equal(found.masks[1], below)  # also what lies under the other mask
    assert found.positive[3].tolist() == [[1, 1], [3, 1], [5, 1], [7, 1], [9, 1]]
    assert found.positive[4].tolist() == [[3, 4]]


def test_points_along_a_line_are_evenly_spread():
    line = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 6.0]])
    found = spread_along(line, 4)
    assert found.tolist() == [[0, 0], [3, 0], [3, 3], [3, 6]]
    assert spread_along(line[:1].repeat(3, axis=0), 4).tolist() == [[0, 0]]


@pytest.mark.parametrize("padded", [True, False])
def test_logits_come_back_to_where_they_were(padded):
    frame, size = Frame(64, padded=padded), (30, 90)
    rows, columns = frame.inner(size)
    low = torch.zeros(1, 1, 64, 64)
    low[..., : rows // 2, :columns] = 1
    found = frame.enlarged(low, size)
    assert found.shape == (1, 1, 30, 90)
    assert bool((found[..., :12, :] > 0.9).all())
    assert bool((found[..., 18:, :] < 0.1).all())
