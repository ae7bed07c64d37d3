import math

import numpy as np
import pytest
import torch

from likewise.functional.clusters import class_means, class_spreads, davies_bouldin, k_means


def test_the_index_of_three_classes_is_the_one_worked_by_hand():
    features = torch.tensor([[0.0, -1], [10, 2], [0, 1], [10, -2], [0, 5]])
    labels = torch.tensor([3, 8, 3, 8, 5])  # means (0, 0), (0, 5), (10, 0); spreads 1, 0, 2
    assert class_spreads(features, labels).tolist() == [1, 0, 2]
    worst = [3 / 10, 2 / math.sqrt(125), 3 / 10]
    worst[1] = max(worst[1], 1 / 5)
    assert float(davies_bouldin(features, labels)) == pytest.approx(sum(worst) / 3)


def test_classes_of_one_example_each_have_no_spread_and_an_index_of_zero():
    features = torch.eye(4)
    assert float(davies_bouldin(features, torch.arange(4))) == 0


def test_an_index_needs_two_classes():
    with pytest.raises(ValueError, match="1 class"):
        davies_bouldin(torch.rand(3, 2), torch.full((3,), 7))


def test_features_and_labels_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\) and labels \(4,\)"):
        class_means(torch.rand(3, 2), torch.zeros(4, dtype=torch.int64))


def test_k_means_finds_clusters_that_are_far_apart():
    spread = np.random.default_rng(0)
    truth = 20 * np.eye(3, 6)
    points = np.repeat(truth, 40, axis=0) + 0.1 * spread.standard_normal((120, 6))
    centres = k_means(points, 3, np.random.RandomState(4))
    nearest = np.abs(centres[:, None] - truth[None]).max(axis=2)
    assert sorted(nearest.argmin(axis=1)) == [0, 1, 2]
    assert nearest.min(axis=1).max() < 0.1


def test_a_cluster_that_never_had_a_point_jumps_to_one():
    points = np.full((5, 2), [300.0, 0]) + np.arange(10).reshape(5, 2)
    unused = [seed for seed in range(20) if len(np.unique(np.argmax(points @ _starts(seed).T, axis=1))) == 1]
    centres = k_means(points, 2, np.random.RandomState(unused[0]), iterations=1)
    assert any((centre == points).all(axis=1).any() for centre in centres)
    assert np.isclose(centres, points.mean(axis=0)).all(axis=1).any()


def _starts(seed: int) -> np.ndarray:
    starts = np.random.RandomState(seed).randn(2, 2)
    return starts / np.linalg.norm(starts, axis=1, keepdims=True)


def _slowly(points: np.ndarray, clusters: int, generator: np.random.RandomState, iterations: int) -> tuple[np.ndarray, bool]:
    """Centres of k-means one by one, and whether a cluster lost its points on the way."""
    centres = generator.randn(clusters, points.shape[1])
    centres = [centre / np.linalg.norm(centre) for centre in centres]
    used, lost = set(), False
    for _ in range(iterations):
        nearest = [min(range(clusters), key=lambda k: np.sum((point - centres[k]) ** 2)) for point in points]
        lost |= bool(used - set(nearest))
        used |= set(nearest)
        for k in set(nearest):
            centres[k] = np.mean([point for point, own in zip(points, nearest, strict=True) if own == k], axis=0)
        for k in sorted(set(range(clusters)) - used):
            centres[k] = points[generator.choice(len(points))]
    return np.array(centres), lost


def test_k_means_agrees_with_clusters_made_one_by_one_also_where_one_loses_its_points():
    any_lost = False
    for seed in range(25):
        points = 0.7 * np.random.default_rng(seed).standard_normal((13, 2))
        expected, lost = _slowly(points, 6, np.random.RandomState(seed), 4)
        np.testing.assert_allclose(k_means(points, 6, np.random.RandomState(seed), iterations=4), expected, atol=1e-12)
        any_lost |= lost
    assert any_lost
