"""A few rows for many: within the budget, no class lost, whatever the order, and closer to all rows than a draw by lot."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likewise.functional.coreset import coreset, quotas

WIDTH = 40  # more than the directions that cells are cut along


def rows(sizes, seed=0):
    """Tokens (R, 40) of length 1 in clumps of very different sizes, shares (R, classes) and weights (R,)."""
    generator = torch.Generator().manual_seed(seed)
    number = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    clumps = torch.randn(len(sizes), 9, WIDTH, generator=generator)
    clump = (9 * torch.rand(len(number), generator=generator) ** 3).long()
    tokens = clumps[number, clump] + 0.3 * torch.randn(len(number), WIDTH, generator=generator)
    shares = 0.7 * torch.nn.functional.one_hot(number, len(sizes)).float() + 0.3 / len(sizes)
    return torch.nn.functional.normalize(tokens, dim=1), shares, 0.2 + torch.rand(len(number), generator=generator)


def test_every_row_stays_with_its_own_weight_where_the_budget_allows_it():
    tokens, shares, weight = rows([30, 7])
    kept = coreset(tokens, shares, weight, 37, by_class=True)
    assert kept.rows.tolist() == list(range(37))
    assert torch.equal(kept.mass, weight)


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize("budget", [3, 61, 256])
def test_the_budget_is_spent_to_the_row_and_no_weight_is_lost(budget, by_class):
    tokens, shares, weight = rows([900, 40, 300])
    kept = coreset(tokens, shares, weight, budget, by_class=by_class)
    assert len(set(kept.rows.tolist())) == budget
    assert (kept.rows.diff() > 0).all()
    assert kept.mass.sum() == pytest.approx(float(weight.sum()), rel=1e-5)
    assert (kept.mass >= weight[kept.rows] - 1e-6).all()


def test_a_class_of_three_rows_keeps_all_three_among_thousands():
    tokens, shares, weight = rows([4000, 3, 500])
    kept = coreset(tokens, shares, weight, 30, by_class=True)
    assert {4000, 4001, 4002} <= set(kept.rows.tolist())
    assert not {4000, 4001, 4002} <= set(coreset(tokens, shares, weight, 30, by_class=False).rows.tolist())


def test_a_thin_class_that_leads_nowhere_keeps_the_rows_it_has_most_of():
    tokens, _, weight = rows([2000])
    shares = torch.tensor([[1.0, 0.0]]).repeat(2000, 1)
    shares[1200:1205] = torch.tensor([0.7, 0.3])
    assert set(range(1200, 1205)) <= set(coreset(tokens, shares, weight, 20, by_class=True).rows.tolist())


def test_rows_in_another_order_give_the_same_rows():
    tokens, shares, weight = rows([1500, 80, 700])
    shuffled = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(5))
    one = coreset(tokens, shares, weight, 130, by_class=True)
    two = coreset(tokens[shuffled], shares[shuffled], weight[shuffled], 130, by_class=True)
    back, order = shuffled[two.rows].sort()
    assert torch.equal(back, one.rows)
    assert torch.equal(two.mass[order], one.mass)


def test_more_rows_than_are_hashed_at_once_are_chosen_alike():
    tokens = torch.randn(40_000, 3, generator=torch.Generator().manual_seed(2))
    labels, weight = torch.zeros(40_000, 1), torch.ones(40_000)
    one = coreset(tokens, labels, weight, 50, by_class=False)
    two = coreset(tokens.flip(0), labels, weight, 50, by_class=False)
    assert torch.equal(39_999 - two.rows.flip(0), one.rows)


@pytest.mark.parametrize("budget", [60, 240])
def test_all_rows_lie_closer_to_the_chosen_ones_than_to_as_many_of_each_class_drawn_by_lot(budget):
    tokens, shares, weight = rows([3000, 150, 1200])
    kept, classes = coreset(tokens, shares, weight, budget, by_class=True).rows, shares.argmax(1)
    drawn = []
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        own = [torch.nonzero(classes == number)[:, 0] for number in range(3)]
        counts = classes[kept].bincount().tolist()
        drawn.append(torch.cat([places[torch.randperm(len(places), generator=generator)[:count]] for places, count in zip(own, counts, strict=True)]))
    distances = [float((1 - (tokens @ tokens[chosen].T).max(1).values).mean()) for chosen in (kept, *drawn)]
    assert distances[0] < 0.97 * min(distances[1:])


def test_rows_that_are_all_alike_are_no_trouble():
    kept = coreset(torch.ones(500, WIDTH), torch.ones(500, 1), torch.ones(500), 16, by_class=True)
    assert kept.mass.sum() == 500
    assert kept.mass.max() <= 32


def test_what_does_not_fit_is_refused():
    tokens, shares, weight = rows([30, 7])
    with pytest.raises(ValueError, match="do not fit"):
        coreset(tokens, shares, weight[1:], 5, by_class=True)
    with pytest.raises(ValueError, match="budget 0"):
        coreset(tokens, shares, weight, 0, by_class=True)
    with pytest.raises(ValueError, match="more than the 5 rows"):
        quotas(np.array([2, 3]), 6)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=9).filter(any), st.floats(0, 1))
def test_every_group_gets_its_part_and_no_more_than_it_has(counts, part):
    budget = max(1, round(part * sum(counts)))
    found, some = quotas(np.array(counts), budget), sum(count > 0 for count in counts)
    assert sum(found.values()) == budget
    for group, count in enumerate(counts):
        assert min(count, budget // some) <= found.get(group, 0) <= count
