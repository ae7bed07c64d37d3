"""Thresholds that miss at most a given share: split conformal prediction for one class.

Scores of examples that show the class, each by what was learned without it, and the score of a new image that shows it are taken to be exchangeable: drawn
alike, in any order as likely. The new one is then as likely to have any of the n+1 ranks, so it lies below the k-th smallest of the n with a chance of at most
k / (n+1); ties make it less. No threshold misses less than 1 / (n+1) for certain, but the one that refuses nothing.

The promise is marginal, over draws of the examples and the image together. For examples at hand the chance of a miss is itself drawn, from Beta(k, n+1-k), so
with few examples it may be far from its mean.

Sources: Vovk, Gammerman, Shafer 2005, "Algorithmic learning in a random world" (ranks of exchangeable scores); Vovk 2012, "Conditional validity of inductive
conformal predictors" (the Beta distribution, and a promise for each class apart); Angelopoulos and Bates 2021, "A gentle introduction to conformal
prediction", arXiv 2107.07511, sections 1 and 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996


def allowed_rank(count: int, max_miss: float) -> int:
    """The largest k with k / (count + 1) <= max_miss; 0 where `count` scores are too few to promise it.

    Raises ValueError for a share outside 0..1, or a count below 0.

    >>> [allowed_rank(count, 0.1) for count in (0, 8, 9, 18, 19, 99)]
    [0, 0, 1, 1, 2, 10]
    """
    if not 0 <= max_miss <= 1 or count < 0:
        raise ValueError(f"a share of {max_miss} of {count} scores is no rank")
    return min(count, math.floor(max_miss * (count + 1) + _ROUNDING))


def miss_threshold(scores: Sequence[float], max_miss: float) -> tuple[float, int]:
    """The score from which images count as showing the class, and its rank k among the scores, from the smallest, 1.

    Where they are too few to promise `max_miss`, it is the smallest of them: what can be promised is k / (n+1) in any case. Raises ValueError without scores.

    >>> miss_threshold([0.9, 0.3, 0.5, 0.7], 0.4), miss_threshold([0.9, 0.3], 0.01)
    ((0.5, 2), (0.3, 1))
    """
    if not scores:
        raise ValueError("no threshold follows from no scores")
    rank = max(1, allowed_rank(len(scores), max_miss))
    return sorted(scores)[rank - 1], rank


def miss_promised(count: int, rank: int) -> float:
    """The mean chance of a miss that a threshold of a rank keeps below, whatever the scores: 1 for rank 0 of none.

    >>> miss_promised(9, 1)
    0.1
    """
    return max(rank, 1) / (count + 1)


def miss_at_worst(count: int, rank: int, level: float = 0.95) -> float:
    """What the chance of a miss stays below in a share `level` of the draws of `count` examples: a quantile of Beta(rank, count + 1 - rank).

    Raises ValueError for a rank that is none of 1..count.

    >>> round(miss_at_worst(9, 1), 3), round(miss_at_worst(999, 100), 3)
    (0.283, 0.116)
    """
    if not 1 <= rank <= count:
        raise ValueError(f"{rank} is no rank of {count} scores")
    return float(stats.beta.ppf(level, rank, count + 1 - rank))


def fewest_scores(max_miss: float) -> int:
    """How many scores it takes to promise a share above 0: the fewest with a rank.

    >>> fewest_scores(0.01), fewest_scores(0.1), fewest_scores(0.3)
    (99, 9, 3)
    """
    if not 0 < max_miss <= 1:
        raise ValueError(f"{max_miss} is no share above 0")
    return max(0, math.ceil(1 / max_miss - 1 - _ROUNDING))
