"""Half-widths of the 95 % interval of a mean over episodes, by the rules of the published code bases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Rule = Literal["population", "sample", "student"]

NORMAL = 1.96  # as published, not the quantile's further digits


class Interval(NamedTuple):
    """A mean, and how far the interval reaches on each side."""

    mean: float
    half: float


def mean_interval(values: Sequence[float] | NDArray[np.floating], rule: Rule = "population") -> Interval:
    """The mean of values (E,) with the half-width of its 95 % interval.

    rule: "population", 1.96 population deviations over sqrt(E) (Chen et al. 2019, Finn et al. 2017); "sample", the same with the
    deviation by E - 1 (Snell et al. 2017); "student", that with the quantile of Student's distribution (Sung et al. 2018). Raises
    ValueError for no values, or fewer than two where the rule divides by E - 1.

    >>> mean_interval([0.0, 1.0, 0.0, 1.0])
    Interval(mean=0.5, half=0.49)
    """
    array = np.asarray(values, np.float64)
    free = len(array) - (rule != "population")
    if free < 1:
        raise ValueError(f"{len(array)} values are too few for an interval")
    error = float(array.std(ddof=len(array) - free) / np.sqrt(len(array)))
    factor = float(stats.t.ppf(0.975, free)) if rule == "student" else NORMAL
    return Interval(float(array.mean()), factor * error)
