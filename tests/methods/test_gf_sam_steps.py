"""GF-SAM step by step: loops in place of matrices, walks in place of components, and small cases by hand."""

import numpy as np
import pytest
import torch

from likewise.methods.gf_sam.graph import REJECTED, SELECTED, UNDECIDED, clustered, consistent, gates, labels_of, positive
from likewise.methods.gf_sam.priors import Priors, cosines, filtered, over_tokens, points, priors


def seeded(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_channels_are_scaled_over_the_tokens_of_a_picture():
    found = over_tokens(3 * seeded(6, 4))
    assert found.square().sum(dim=0).tolist() == pytest.approx([1] * 4)
    assert torch.allclose(found, over_tokens(seeded(6, 4) * torch.tensor([1.0, 2, 3, 4])))


def test_priors_are_means_over_shots_of_loops_over_tokens():
    target, shots = seeded(5, 3, seed=9) - 0.5, [(seeded(4, 3, seed=k) - 0.5, seeded(4, seed=10 + k)) for k in range(2)]
    found = priors([(cosines(tokens, target), shares, 1 - shares) for tokens, shares in shots])
    for j in range(5):
        largest, mean, negative = [], [], []
        for tokens, shares in shots:
            cosine = [float(tokens[i] @ target[j] / (tokens[i].norm() * target[j].norm() + 1e-7)) for i in range(4)]
            m = shares.tolist()
            largest.append(max(c * s for c, s in zip(cosine, m, strict=True)))
            mean.append(np.mean([c * s for c, s in zip(cosine, m, strict=True)]) / (np.mean(m) + 1e-7))
            negative.append(np.mean([c * (1 - s) for c, s in zip(cosine, m, strict=True)]) / (1 - np.mean(m) + 1e-7))
        expected = (np.mean(largest), np.mean(mean), np.mean(negative))
        assert (float(found.largest[j]), float(found.mean[j]), float(found.negative[j])) == pytest.approx(expected, abs=1e-5)


def test_points_are_where_the_object_is_likelier_than_the_rest():
    found = Priors(largest=torch.tensor([1.0, 1, 1, 0]), mean=torch.tensor([1.0, 0.5, 0.5, 0]), negative=torch.tensor([0.0, 0.2, 1, 0.1]))
    assert filtered(found).tolist() == pytest.approx([1, 0.5, 0, 0], abs=1e-4)


def test_as_many_points_as_the_map_sums_to_in_order_of_x_then_y():
    hot = torch.tensor([0.9, 0.0, 0.8, 0.7, 0.0, 0.75])  # 3 wide; 3.15 in all
    assert points(hot, 3).tolist() == [[0, 0], [2, 0], [2, 1]]
    assert points(hot, 3, most=1).tolist() == [[0, 0]]
    assert points(hot / 10, 3).tolist() == [[0, 0]]
    assert points(0 * hot, 3).tolist() == []


@pytest.mark.parametrize("seed", range(4))
def test_clusters_are_what_can_be_walked_to_whichever_way_the_arrows_point(seed):
    count, grid = 9, (6, 7)
    masks = seeded(count, *grid, seed=seed) < 0.08
    at = torch.randperm(42, generator=torch.Generator().manual_seed(seed))[:count]
    own = torch.stack([at % 7, at // 7], dim=1)
    graph = clustered(masks.repeat_interleave(2, 1).repeat_interleave(2, 2), own, grid)
    arrows = masks[:, own[:, 1], own[:, 0]].numpy().astype(int)
    walks = np.linalg.matrix_power(arrows + arrows.T + np.eye(count, dtype=int), count) > 0
    assert np.array_equal(graph.clusters.numpy()[:, None] == graph.clusters.numpy(), walks)
    assert [int(number) for number in dict.fromkeys(graph.clusters.tolist())] == list(range(int(graph.clusters.max()) + 1))
    there = np.linalg.matrix_power(arrows + np.eye(count, dtype=int), count) > 0
    assert graph.strong == len({tuple(row) for row in (there & there.T).tolist()})


def contrast_of(more):
    """Priors whose contrast mean^2 - negative * middle is above 0 on given tokens alone; mean is 1 and 0.5, so that the middle is 0.75."""
    return Priors(torch.zeros(0), torch.tensor([1.0 if yes else 0.5 for yes in more]), torch.tensor([0.2 if yes else 1.0 for yes in more]))


def test_a_mask_is_taken_for_what_it_adds():
    found = contrast_of([1, 1, 1, 0, 0, 0])
    masks = torch.tensor([[1.0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0], [0, 1, 1, 0, 0, 0]])
    foreground, scores = positive(masks, torch.tensor([0, 0, 0, 0, 1]), found)
    assert int(foreground[:2].sum()) == 1  # two equal masks: the second adds nothing
    assert foreground[2:].tolist() == [False, False, True]  # 2 adds one good and one bad token
    assert scores.tolist() == [-2, -2, -2, -2, 2]  # that of the last of a cluster, which adds two bad tokens; of the other both are good


@pytest.mark.parametrize(("last", "expected"), [(10, True), (4, False)])
def test_a_point_that_a_near_cluster_suits_better_is_not_consistent(last, expected):
    itself = torch.full((12, 12), 0.1)
    itself[:4, :4] = itself[8:, 8:] = itself[8:, 3] = 1  # token 3 is like its own cluster
    itself[:4, 3] = 0.3  # but less so than like the other one, whose nearest point is 7 tokens away, or 1
    whole = torch.zeros(2, 12)
    whole[0, :4] = whole[1, 8:] = 1
    own = torch.tensor([[0, 0], [1, 0], [2, 0], [3, 0], [last, 0]])
    assert consistent(whole, torch.tensor([0, 0, 0, 0, 1]), own, itself, 12)[3].item() is expected


def test_a_cluster_of_which_fewer_than_half_are_consistent_has_none():
    itself = torch.zeros(6, 6)
    itself[:2, 3:] = 1  # tokens 0 and 1 look like the other cluster, token 2 like its own
    itself[2, :3] = itself[3, 3:] = 1
    whole = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    found = consistent(whole, torch.tensor([0, 0, 0, 1]), torch.tensor([[0, 0], [1, 0], [2, 0], [3, 0]]), itself.T, 6)
    assert found.tolist() == [False, False, False, True]


def test_both_gates_select_and_without_any_the_best_undecided_is_taken():
    yes, no = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    scores = torch.tensor([1.0, 2, 3, 9])
    assert labels_of(yes, no, scores).tolist() == [SELECTED, UNDECIDED, UNDECIDED, REJECTED]
    assert labels_of(yes, ~yes, scores).tolist() == [REJECTED, REJECTED, REJECTED, SELECTED]
    assert labels_of(yes & False, yes & False, scores).tolist() == [REJECTED] * 4


def test_a_square_that_looks_like_the_object_is_found_whole():
    grid = (8, 8)
    labels = torch.zeros(grid, dtype=torch.bool)
    labels[2:6, 2:6] = True
    tokens = torch.eye(2)[labels.flatten().long()] + 0.05 * seeded(64, 2)
    shares = labels.flatten().float()
    found = priors([(cosines(tokens, tokens), shares, 1 - shares)])
    chosen = points(filtered(found), 8)
    assert labels[chosen[:, 1], chosen[:, 0]].all()
    masks = torch.stack([labels if place % 2 else ~labels & (torch.arange(8) < 2) for place in range(len(chosen))])
    whole = masks[gates(masks, chosen, found, cosines(tokens, tokens), grid).labels == SELECTED].any(dim=0)
    assert torch.equal(whole, labels)
