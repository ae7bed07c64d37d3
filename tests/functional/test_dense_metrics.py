"""Dense scores against brute force and by their laws; the published values are compared in golden files."""

import math

import pytest
import torch

from likewise.functional.dense_metrics import (
    angles,
    binary_counts,
    binary_iou,
    depth_errors,
    edge_counts,
    edge_scores,
    f_score,
    normal_errors,
    official_error,
    value_errors,
)


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_angle_is_the_arc_cosine_of_the_cosine():
    one, other = noise(0, 2, 3, 4, 5) - 0.5, noise(1, 2, 3, 4, 5) - 0.5
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=1)
    torch.testing.assert_close(angles(one, other), torch.rad2deg(torch.arccos(cosine)), atol=1e-3, rtol=1e-4)
    assert angles(one, -3 * one).min() > 179.99


def test_normals_are_judged_as_vectors_from_minus_one_to_one_where_they_are_known():
    truth = torch.tensor([1.0, 0, 0])[None, :, None, None].expand(1, 3, 2, 4) * 0.5 + 0.5
    turned = torch.tensor([0.0, 1, 0])[None, :, None, None].expand(1, 3, 2, 4) * 0.5 + 0.5
    known = torch.ones(1, 1, 2, 4)
    known[..., 1:] = 0
    mixed = torch.where(known.bool(), turned, truth)
    found = normal_errors(mixed, truth, known)
    assert found["mean_deg"] == pytest.approx(90)
    assert found["within_30"] == 0


def test_unknown_pixels_change_no_score_but_the_published_one():
    predicted, truth = noise(2, 3, 2, 5, 6), noise(3, 3, 2, 5, 6)
    known = (noise(4, 3, 1, 5, 6) > 0.3).float()
    other = torch.where(known.bool(), predicted, noise(5, 3, 2, 5, 6))
    assert value_errors(predicted, truth, known) == value_errors(other, truth, known)
    error = (predicted - truth).abs()[known.bool().expand(3, 2, 5, 6)]
    assert value_errors(predicted, truth, known)["mae"] == pytest.approx(float(error.mean()))
    assert float(official_error(predicted, truth, known)) == pytest.approx(float(error.sum()) / 180, rel=1e-5)


def test_an_image_without_known_pixels_does_not_spoil_the_mean_over_images():
    predicted, truth = noise(2, 2, 1, 4, 4), noise(3, 2, 1, 4, 4)
    known = torch.ones(2, 1, 4, 4)
    known[1] = 0
    alone = value_errors(predicted[:1], truth[:1], known[:1])
    assert value_errors(predicted, truth, known) == pytest.approx(alone)
    assert math.isnan(value_errors(predicted, truth, torch.zeros(2, 1, 4, 4))["rmse_image_mean"])


def test_depth_twice_as_far_is_an_error_of_one_and_in_no_share_but_large_ones():
    truth = noise(0, 2, 3, 4) + 1
    found = depth_errors(2 * truth, truth, torch.ones(2, 3, 4))
    assert found["depth_absrel"] == pytest.approx(1)
    assert (found["delta1"], found["delta3"]) == (0, 0)
    close = depth_errors(truth / 1.3, truth, torch.ones(2, 3, 4))
    assert (close["delta1"], close["delta2"]) == (0, 1)


def brute_counts(predicted, truth, known, threshold, radius):
    claimed, wanted = (predicted >= threshold) & known, (truth >= 0.5) & known
    height, width = truth.shape
    right = found = 0
    for row in range(height):
        for column in range(width):
            rows, columns = slice(max(0, row - radius), row + radius + 1), slice(max(0, column - radius), column + radius + 1)
            right += bool(claimed[row, column]) and bool(wanted[rows, columns].any())
            found += bool(wanted[row, column]) and bool(claimed[rows, columns].any())
    return [right, int(claimed.sum()), found, int(wanted.sum())]


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_edges_are_counted_as_by_hand(radius):
    predicted, truth, known = noise(6, 1, 1, 7, 9) ** 3, noise(7, 1, 1, 7, 9) ** 3, noise(8, 1, 1, 7, 9) > 0.2
    found = edge_counts(predicted, truth, known, 0.4, radius)
    assert found.tolist() == brute_counts(predicted[0, 0], truth[0, 0], known[0, 0], 0.4, radius)


def test_the_best_threshold_is_no_worse_than_a_half_and_a_perfect_answer_is_1():
    predicted, truth, known = noise(6, 2, 2, 8, 9) ** 2, noise(7, 2, 2, 8, 9), torch.ones(2, 1, 8, 9)
    found = edge_scores(predicted, truth, known)
    assert found["f_best_r0"] >= found["f_at_0.5_r0"]
    assert found["f_at_0.5_r2"] > found["f_at_0.5_r0"]
    assert edge_scores(truth, truth, known)["f_at_0.5_r0"] == 1
    assert f_score(torch.zeros(4)) == 0


def test_binary_maps_are_counted_for_both_values():
    counts = binary_counts(torch.tensor([[0, 1, 1, 1]]), torch.tensor([[0, 0, 1, 1]]))
    assert counts.tolist() == [[1, 2], [2, 3]]
    assert binary_iou(counts.double()).tolist() == pytest.approx([1 / 2, 2 / 3])
    assert binary_iou(torch.zeros(2, 2)).tolist() == [0, 0]
