"""Coarse labels held against what a task says: boxes, points, scribbles, tags, drawn pixels."""

import numpy as np
import pytest

from likewise.data import Example, Support
from likewise.task.refining import LEAST, refined_map

SIZE = (40, 60)
PICTURE = np.zeros((*SIZE, 3), np.uint8)


def labels_of(**given):
    return Support([Example(PICTURE, "x", **given)], classes={1: "a", 2: "b"}).examples[0].labels


def scores(**places):
    """Scores (3, 40, 60): 0.4 for the background, 0.6 where a class is said to be, else 0.1 and a little more to the right."""
    found = np.full((3, *SIZE), 0.1)
    found[1:] += np.linspace(0, 0.01, SIZE[1])
    found[0] = 0.4
    for name, (rows, columns) in places.items():
        found["_ab".index(name), rows, columns] = 0.6
    return found


LEFT = (slice(5, 25), slice(5, 25))


def test_a_class_stays_inside_its_boxes():
    found = refined_map(scores(a=LEFT), labels_of(boxes={"a": [(10, 10, 40, 30)]}), [1, 2])
    assert set(np.unique(found)) == {0, 1}
    assert (found[10:25, 10:25] == 1).all()
    assert not found[:10].any()
    assert not found[:, :10].any()


def test_each_box_gets_at_least_a_part():
    found = refined_map(scores(), labels_of(boxes={"a": [(30, 0, 60, 20)], "b": [(0, 20, 20, 40)]}), [1, 2])
    assert (found[:20, 30:] == 1).mean() == pytest.approx(LEAST, abs=0.02)
    assert (found[20:, :20] == 2).mean() == pytest.approx(LEAST, abs=0.1)
    assert (found[:20, 55:] == 1).all()  # the most likely part


def test_a_class_that_nobody_named_is_nowhere():
    assert not (refined_map(scores(a=LEFT, b=(slice(30, 38), slice(30, 50))), labels_of(points={"b": {"positive": [(40, 34)]}}), [1, 2]) == 1).any()


def test_tags_say_what_may_be_there():
    here = refined_map(scores(a=LEFT, b=LEFT), labels_of(tags={"a": True, "b": False}), [1, 2])
    assert (here[LEFT] == 1).all()
    assert not (here == 2).any()


def test_points_and_scribbles_stand_where_they_were_put():
    found = refined_map(scores(), labels_of(points={"a": {"positive": [(50, 30)]}}, scribbles={"b": [[(5, 5), (30, 5)]]}), [1, 2])
    assert found[30, 50] == 1
    assert (found[5, 5:30] == 2).all()


def test_a_part_with_a_negative_point_alone_goes_and_others_stay():
    both = scores(a=LEFT)
    both[1, 5:25, 35:55] = 0.6
    points = {"a": {"positive": [(10, 10)], "negative": [(45, 15)]}}
    found = refined_map(both, labels_of(points=points), [1, 2])
    assert (found[LEFT] == 1).all()
    assert not found[:, 30:].any()
    points["a"]["positive"].append((50, 20))
    found = refined_map(both, labels_of(points=points), [1, 2])
    assert found[15, 45] == 0
    assert found[20, 50] == 1
    assert (found[5:25, 35:55] == 1).mean() > 0.9


def test_what_was_drawn_stays_and_ignored_pixels_too():
    drawn = np.zeros(SIZE, np.int16)
    drawn[:10, :10], drawn[30:] = 2, -1
    labels = labels_of(label_map=drawn, points={"a": {"positive": [(15, 15)]}}, unlabelled="unknown")
    found = refined_map(scores(a=LEFT), labels, [1, 2])
    assert (found[:10, :10] == 2).all()
    assert (found[30:] == -1).all()
    assert (found[12:25, 12:25] == 1).all()


def test_outlines_move_to_the_edges_of_the_picture_but_not_out_of_a_box():
    picture = np.full((*SIZE, 3), 110, np.uint8)
    picture[8:32, 12:48] = (200, 30, 30)  # the object
    rows, columns = slice(9, 31), slice(13, 47)
    found = refined_map(scores(a=(rows, columns)), labels_of(boxes={"a": [(8, 5, 48, 35)]}), [1, 2], picture)
    assert (found[8:32, 12:48] == 1).mean() > 0.98
    assert (found == 1).sum() <= 24 * 36 + 8
    held = refined_map(scores(a=(rows, columns)), labels_of(boxes={"a": [(14, 5, 48, 35)]}), [1, 2], picture)
    assert not (held[:, :14] == 1).any()
