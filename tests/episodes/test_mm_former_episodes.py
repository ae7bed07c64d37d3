"""The data rules of MM-Former: folds, episodes of an evaluation, sizes, targets."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.episodes.mm_former import chosen_class, evaluation_episodes, held_out, padded, shortest_edge_size, targets_of, trained_on
from likewise.errors import InputError

SHOWN = [[1], [2], [1, 2], [3], [2, 3], [1, 3], [3]]
LISTED = {number: [place for place, own in enumerate(SHOWN) if number in own] for number in (1, 2, 3)}


@pytest.mark.parametrize(("data", "count", "each"), [("pascal", 20, 5), ("coco", 80, 20)])
def test_folds_share_out_the_classes(data, count, each):
    found = [held_out(data, fold) for fold in range(4)]
    assert sorted(number for fold in found for number in fold) == list(range(1, count + 1))
    for fold, own in enumerate(found):
        assert len(own) == each
        assert sorted((*own, *trained_on(data, fold))) == list(range(1, count + 1))
    with pytest.raises(InputError, match="no fold 4"):
        held_out(data, 4)


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 40))
def test_supports_show_the_class_and_are_never_the_query(seed, shots, count):
    found = evaluation_episodes(SHOWN, LISTED, shots, random.Random(seed), count=count)
    assert len(found) == count
    for episode in found:
        assert episode.number in SHOWN[episode.query]
        assert len(episode.support) == shots
        assert episode.query not in episode.support
        assert all(episode.number in SHOWN[place] for place in episode.support)
        if len(LISTED[episode.number]) > shots:
            assert len(set(episode.support)) == shots


def test_every_image_is_asked_about_before_any_is_asked_again_within_one_more():
    found = [episode.query for episode in evaluation_episodes(SHOWN, LISTED, 1, random.Random(3), count=14)]
    assert sorted(found) == sorted([*range(7), *range(7)])


def test_the_same_chance_gives_the_same_episodes():
    one, two, other = (evaluation_episodes(SHOWN, LISTED, 2, random.Random(seed), count=20) for seed in (5, 5, 6))
    assert one == two != other


def test_an_image_without_a_class_and_a_class_of_one_image_are_errors_and_no_endless_loops():
    with pytest.raises(InputError, match="shows no class"):
        evaluation_episodes([[1], [1], []], {1: [0, 1]}, 1, random.Random(0), count=6)
    with pytest.raises(InputError, match="only image of its class"):
        evaluation_episodes([[1]], {1: [0]}, 1, random.Random(0), count=1)


@given(st.integers(20, 3000), st.integers(20, 3000), st.sampled_from(range(320, 961, 64)))
def test_training_images_keep_their_shape_within_half_a_pixel_and_are_not_too_long(height, width, edge):
    rows, columns = shortest_edge_size((height, width), edge)
    assert max(rows, columns) <= 2048
    assert min(rows, columns) == edge or max(rows, columns) == 2048
    scale = max(rows, columns) / max(height, width)
    assert abs(min(rows, columns) - scale * min(height, width)) <= 0.5 + scale / 2 + 1e-6


def test_images_are_filled_up_at_the_right_and_the_bottom():
    image = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    found = padded(image, 6, 128)
    assert found.shape == (6, 6, 3)
    assert np.array_equal(found[:3, :4], image)
    assert (found[3:] == 128).all()
    assert (found[:, 4:] == 128).all()
    assert padded(found, 5, 0).shape == (6, 6, 3)


def test_targets_are_a_mask_of_each_class_and_the_background_without_what_is_hidden():
    labels = np.array([[0, 0, 4], [255, 7, 7], [4, 9, 0]], np.uint8)
    found = targets_of(labels, 7, hidden=(9,))
    assert found.classes.tolist() == [0, 4, 7]
    assert found.masks.sum(axis=(1, 2)).tolist() == [3, 2, 2]
    assert not found.masks[:, 2, 1].any()
    assert found.label.tolist() == [[0, 0, 0], [255, 1, 1], [0, 0, 0]]  # what is hidden is background there, as published


def test_a_class_of_an_image_is_one_of_them_each_now_and_then():
    chance = random.Random(1)
    assert {chosen_class([3, 8, 11], chance) for _ in range(40)} == {3, 8, 11}
