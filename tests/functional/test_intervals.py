"""Intervals of a mean against SciPy's and against the published formulas."""

import numpy as np
import pytest
from scipy import stats

from likewise.functional.intervals import mean_interval

VALUES = [0.4, 0.65, 0.5, 0.9, 0.3]


def test_students_interval_is_scipys():
    low, high = stats.t.interval(0.95, len(VALUES) - 1, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    found = mean_interval(VALUES, "student")
    assert found.mean - found.half == pytest.approx(low)
    assert found.mean + found.half == pytest.approx(high)


def test_the_deviation_is_the_populations_or_the_samples():
    assert mean_interval(VALUES, "population").half == pytest.approx(1.96 * np.std(VALUES) / 5**0.5)
    assert mean_interval(VALUES, "sample").half == pytest.approx(1.96 * stats.sem(VALUES))
    assert mean_interval(VALUES) == mean_interval(VALUES, "population")


def test_single_precision_values_are_added_in_double():
    values = np.full(3_000, 0.1, np.float32)
    assert mean_interval(values).mean == pytest.approx(float(np.float32(0.1)), rel=1e-12)


@pytest.mark.parametrize(("count", "rule"), [(0, "population"), (1, "sample"), (1, "student")])
def test_too_few_values_have_no_interval(count, rule):
    with pytest.raises(ValueError, match="too few"):
        mean_interval(VALUES[:count], rule)
    assert mean_interval(VALUES[:1]).half == 0
