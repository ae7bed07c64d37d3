"""The conformal rule: its promise against every order of scores and against the exact law of the chance of a miss."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from likewise.functional.conformal import allowed_rank, fewest_scores, miss_at_worst, miss_promised, miss_threshold

SHARES = (0.01, 0.1, 0.2, 0.25, 0.29, 1 / 3, 0.5, 0.75)


@pytest.mark.parametrize("scores", [(1, 2, 3, 4, 5), (1, 1, 2, 2, 5), (3, 3, 3, 3, 3), (0, 0, 0, 7, 8)])
@pytest.mark.parametrize("max_miss", SHARES)
def test_over_every_order_of_exchangeable_scores_misses_are_as_many_as_promised_and_fewer_with_ties(scores, max_miss):
    orders = list(itertools.permutations(scores))
    missed = Fraction(0)
    for *known, new in orders:
        threshold, rank = miss_threshold(known, max_miss)
        missed += new < threshold
    share = missed / len(orders)
    promised = Fraction(rank, len(scores))
    assert share <= promised
    assert float(promised) == pytest.approx(miss_promised(len(known), rank))
    if len(set(scores)) == len(scores):
        assert share == promised
    if allowed_rank(len(known), max_miss):
        assert float(promised) <= max_miss + 1e-12


@pytest.mark.parametrize("max_miss", SHARES)
@pytest.mark.parametrize("count", [0, 1, 4, 9, 40, 99])
def test_the_rank_is_the_largest_that_keeps_the_promise(count, max_miss):
    exact = Fraction(max_miss).limit_denominator(10**6)
    largest = max(k for k in range(count + 1) if Fraction(k, count + 1) <= exact)
    assert allowed_rank(count, max_miss) == largest


@pytest.mark.parametrize("max_miss", SHARES)
def test_the_fewest_scores_have_a_rank_and_one_less_has_none(max_miss):
    fewest = fewest_scores(max_miss)
    assert allowed_rank(fewest, max_miss) == 1
    assert allowed_rank(fewest - 1, max_miss) == 0


@pytest.mark.parametrize(("count", "rank"), [(5, 1), (9, 2), (30, 6)])
def test_the_chance_of_a_miss_at_worst_is_that_of_the_binomial_law(count, rank):
    """Of uniform scores the k-th smallest of n is below p where at least k of n fall below p."""
    worst = miss_at_worst(count, rank, 0.9)
    below = sum(math.comb(count, k) * worst**k * (1 - worst) ** (count - k) for k in range(rank, count + 1))
    assert below == pytest.approx(0.9, abs=1e-9)


def test_of_drawn_scores_the_share_that_is_missed_is_the_promised_one():
    generator = np.random.default_rng(3)
    missed = []
    for _ in range(20_000):
        *known, new = generator.normal(size=10).tolist()
        missed.append(new < miss_threshold(known, 0.2)[0])
    assert np.mean(missed) == pytest.approx(0.2, abs=4 * math.sqrt(0.2 * 0.8 / 20_000))


def test_what_is_no_share_or_no_rank_is_refused():
    for wrong in (-0.01, 1.2, math.nan):
        with pytest.raises(ValueError, match="no rank"):
            allowed_rank(5, wrong)
    with pytest.raises(ValueError, match="no scores"):
        miss_threshold([], 0.1)
    with pytest.raises(ValueError, match="no rank of 4"):
        miss_at_worst(4, 5)
    with pytest.raises(ValueError, match="no share above 0"):
        fewest_scores(0)
