"""The working scale follows the thinnest class: coarse for wide parts, fine for lines, the picture larger the thinner they are."""

import numpy as np
import pytest

from likewise.data import Example, Support, Target
from likewise.methods.analogy.scale import COARSE, FINE, PICTURES, TILED, working_scale

SMALL, LARGE = (300, 400), (3000, 4000)


def example(size=SMALL, name="a", **labels):
    return Example(np.zeros((*size, 3), np.uint8), name, **labels)


def label_map(size, *parts):
    """A label map with rectangles (number, top, left, height, width)."""
    found = np.zeros(size, np.uint8)
    for number, top, left, height, width in parts:
        found[top : top + height, left : left + width] = number
    return found


def scale(*examples, **more):
    return working_scale(Support(list(examples), **{"classes": {1: "a", 2: "b"}, **more}))


def test_a_wide_square_needs_one_coarse_pass():
    found = scale(example(label_map=label_map(SMALL, (1, 50, 60, 200, 210))))
    assert found.sides == (COARSE,) == (448,)
    assert found.pixels == PICTURES[0]


def test_a_thin_line_is_tried_at_both_sizes():
    assert scale(example(label_map=label_map(SMALL, (1, 100, 20, 4, 300)))).sides == (COARSE, FINE) == (448, 896)


def test_a_thin_line_in_a_large_image_is_looked_at_in_tiles():
    assert scale(example(LARGE, label_map=label_map(LARGE, (1, 900, 100, 8, 3000)))).sides == (FINE, TILED) == (896, 1792)


def test_a_thin_line_in_an_image_that_has_no_more_to_show_is_not():
    size = (800, 1000)
    assert scale(example(size, label_map=label_map(size, (1, 100, 20, 2, 900)))).sides == (COARSE, FINE)


def test_a_thick_part_of_a_large_image_needs_no_tiles():
    assert scale(example(LARGE, label_map=label_map(LARGE, (1, 500, 600, 2000, 2100)))).sides == (COARSE,)


def test_the_picture_grows_as_parts_get_thinner():
    size = (600, 800)
    found = [scale(example(size, label_map=label_map(size, (1, 100, 20, thick, 700)))).pixels for thick in (40, 3, 2, 1)]
    assert found == sorted(found)
    assert found[0] == PICTURES[0] < found[2] < found[3]
    assert set(found) <= set(PICTURES)


@pytest.mark.parametrize("thick", [2, 5, 11])
def test_a_line_is_told_to_be_as_thick_as_it_is(thick):
    size = (400, 400)
    because = scale(example(size, label_map=label_map(size, (1, 100, 0, thick, 400)))).because
    assert f"{thick / 4:.1f} %" in because


def test_the_thinnest_class_decides():
    wide, thin = (1, 20, 20, 150, 160), (2, 250, 20, 3, 300)
    assert scale(example(label_map=label_map(SMALL, wide))).sides == (COARSE,)
    assert scale(example(label_map=label_map(SMALL, wide, thin))).sides == (COARSE, FINE)


def test_the_largest_image_decides():
    thin = example(LARGE, "thin", label_map=label_map(LARGE, (1, 900, 100, 8, 3000)))
    small = example(SMALL, "small", label_map=label_map(SMALL, (1, 100, 20, 1, 300)))
    assert scale(thin, small).sides == scale(small, thin).sides == (FINE, TILED)


def test_thickness_is_a_share_of_the_image():
    small, size = label_map(SMALL, (1, 100, 20, 40, 300)), (600, 800)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    assert scale(example(label_map=small)) == scale(example(size, label_map=large))


def test_boxes_count_as_masks_do():
    wide, thin = np.array([[60.0, 50, 270, 250]]), np.array([[20.0, 100, 320, 104]])
    assert scale(example(boxes={1: wide})).sides == (COARSE,)
    assert scale(example(boxes={1: thin})).sides == (COARSE, FINE)
    assert scale(example(label_map=label_map(SMALL, (1, 50, 60, 200, 210)), boxes={2: thin})).sides == (COARSE, FINE)


def test_labels_without_an_outline_are_tried_at_both_sizes():
    assert scale(example(points={1: {"positive": [[100.0, 70.0]]}})).sides == (COARSE, FINE)
    assert scale(example(name="a", tags={1: True}), example(name="b", tags={1: False})).sides == (COARSE, FINE)
    assert scale(example(label_map=label_map(SMALL))).sides == (COARSE, FINE)


def test_a_mask_of_the_whole_image_is_wide():
    assert scale(example(label_map=np.ones(SMALL, np.uint8))).sides == (COARSE,)


def test_dense_targets_alone_are_seen_coarsely():
    support = Support([example(dense={"depth": np.ones(SMALL, np.float32)})], targets={"depth": Target()})
    assert working_scale(support).sides == (COARSE,)
