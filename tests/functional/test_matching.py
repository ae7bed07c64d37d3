"""Comparing tokens, against loops."""

import pytest
import torch

from likewise.functional.matching import attend, class_means, cosine, nearest_by_class, spread_out

GENERATOR = torch.Generator().manual_seed(1)
QUERIES, KEYS = torch.randn(6, 5, generator=GENERATOR), torch.randn(9, 5, generator=GENERATOR)
SHARES = torch.nn.functional.one_hot(torch.tensor([0, 1, 1, 0, 2, 2, 2, 0, 1]), 4).float()


def test_class_means_are_means_of_length_one_and_zero_for_unseen_classes():
    means = class_means(KEYS, SHARES)
    expected = KEYS[[4, 5, 6]].mean(0)
    torch.testing.assert_close(means[2], expected / expected.norm())
    assert means[3].abs().sum() == 0


def test_cosine_equals_the_loop():
    found = cosine(QUERIES, KEYS)
    for q in range(6):
        for k in range(9):
            assert found[q, k] == pytest.approx(float(QUERIES[q] @ KEYS[k] / QUERIES[q].norm() / KEYS[k].norm()), abs=1e-5)


def test_nearest_takes_the_mean_of_the_largest_of_each_class():
    found, similarity = nearest_by_class(QUERIES, KEYS, SHARES, 2), cosine(QUERIES, KEYS)
    expected = similarity[:, [1, 2, 8]].sort(dim=1).values[:, -2:].mean(1)
    torch.testing.assert_close(found[:, 1], expected)
    assert (found[:, 3] == -1).all()


def test_nearest_takes_what_there_is_when_fewer_are_there():
    found = nearest_by_class(QUERIES, KEYS, SHARES, 50)
    torch.testing.assert_close(found[:, 0], cosine(QUERIES, KEYS)[:, [0, 3, 7]].mean(1))


def test_attention_averages_values_and_does_not_see_keys_without_weight():
    weight = torch.ones(9)
    weight[:3] = 0
    found = attend(QUERIES, KEYS, SHARES, weight, 0.1)
    logits = cosine(QUERIES, KEYS[3:]) / 0.1
    torch.testing.assert_close(found, torch.softmax(logits, 1) @ SHARES[3:])


def test_weight_counts_like_repetition():
    weight = torch.ones(9)
    weight[4] = 2
    twice = torch.cat([KEYS, KEYS[4:5]]), torch.cat([SHARES, SHARES[4:5]])
    torch.testing.assert_close(attend(QUERIES, KEYS, SHARES, weight, 0.2), attend(QUERIES, *twice, torch.ones(10), 0.2))


@pytest.mark.parametrize(("count", "budget"), [(5, 9), (9, 5), (100_001, 20_000)])
def test_spread_out_keeps_at_most_the_budget_in_order_without_repeats(count, budget):
    chosen = spread_out(count, budget)
    assert len(chosen) == min(count, budget)
    assert (chosen[1:] > chosen[:-1]).all()
    assert chosen[-1] < count
