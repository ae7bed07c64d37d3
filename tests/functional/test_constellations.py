"""Points that lie to each other as in the examples are found together where each alone is mistaken."""

import numpy as np
import pytest

from likewise.functional.constellations import constellation_of, placed

SHAPE = np.array([[0.0, 0.0], [2.0, 1.0], [2.0, -1.0], [-3.0, 0.5]])
GRID = (20, 31)
CENTRES = np.stack(np.meshgrid(np.arange(GRID[1]) + 0.5, np.arange(GRID[0]) + 0.5), axis=-1).reshape(-1, 2)


def laid(angle, size, shift, mirrored=False):
    points = SHAPE * (1, -1) if mirrored else SHAPE
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return size * points @ turn.T + shift


def scores(points, heights):
    """Bumps at points (K, 2), each as high as told: (P, K)."""
    apart = ((CENTRES[:, None] - points) ** 2).sum(2)
    return heights * np.exp(-apart / 2)


def examples(count=6, seed=0):
    random = np.random.default_rng(seed)
    return np.stack([laid(random.uniform(0, 7), random.uniform(1.2, 1.8), (15, 10)) + random.normal(0, 0.05, (4, 2)) for _ in range(count)])


def test_the_shape_is_the_same_under_shift_turn_and_size_and_firm_where_examples_agree():
    one, many = constellation_of(examples(1)), constellation_of(examples(40))
    turn = one.shape / many.shape
    assert np.abs(turn / turn[0] - 1).max() < 0.1
    assert many.stray.max() < one.stray.min() < 0.31
    assert np.exp(many.size[0]) == pytest.approx(1.5 * np.sqrt((np.abs(SHAPE - SHAPE.mean(0)) ** 2).sum(1).mean()), rel=0.1)


@pytest.mark.parametrize("angle", [0.3, 2.0, 4.4])
def test_a_decoy_that_is_higher_does_not_win_against_the_shape(angle):
    truth = laid(angle, 1.5, (15, 10))
    alone = scores(truth, np.array([5.0, 5.0, 5.0, 5.0]))
    alone[:, 1] = np.maximum(alone[:, 1], scores(np.array([[2.5, 2.5]]), 6.0)[:, 0])
    assert np.hypot(*(CENTRES[alone.argmax(0)[1]] - truth[1])) > 5
    found = CENTRES[placed(alone, CENTRES, 1.0, constellation_of(examples()))]
    assert np.hypot(*(found - truth).T).max() < 1.5


def test_left_and_right_are_told_apart_by_the_way_round():
    truth = laid(1.0, 1.5, (15, 10))
    alike = scores(truth, np.array([5.0, 5.0, 5.0, 5.0]))
    alike[:, 1] = alike[:, 2] = np.maximum(alike[:, 1], alike[:, 2])
    alike[:, 1] += 0.4 * scores(truth[2:3], 1.0)[:, 0]  # each is a little surer of the other's place
    alike[:, 2] += 0.4 * scores(truth[1:2], 1.0)[:, 0]
    found = CENTRES[placed(alike, CENTRES, 1.0, constellation_of(examples()))]
    assert np.hypot(*(found - truth).T).max() < 1.5


def test_without_two_points_or_a_whole_example_there_is_no_shape():
    assert constellation_of(np.zeros((3, 1, 2))) is None
    partial = examples(2)
    partial[0, 1] = partial[1, 2] = np.nan
    assert constellation_of(partial) is None
    assert constellation_of(np.zeros((2, 3, 2))) is None


def test_flat_scores_place_every_point_somewhere():
    cells = placed(np.zeros((len(CENTRES), 4)), CENTRES, 1.0, constellation_of(examples()))
    assert cells.shape == (4,)
    assert ((cells >= 0) & (cells < len(CENTRES))).all()
