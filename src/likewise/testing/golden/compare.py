"""How far an output is from what a golden file expects, in units of its tolerance (1 is just allowed)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tolerance = Mapping[str, float]
DEFAULT: Tolerance = {"atol": 1e-4, "rtol": 1e-4}
EXACT: Tolerance = {"atol": 0.0, "rtol": 0.0}
KNOWN = {"atol", "rtol", "mismatch", "fraction"}


def tolerance_of(name: str, expected: NDArray[Any], stated: Mapping[str, Tolerance]) -> Tolerance:
    """The tolerance of an output: its own entry, else exact for whole numbers and flags, else that of "*", else 1e-4.

    Raises ValueError for an entry with a field that is not known, so that none is passed over.
    """
    entry = stated.get(f"out.{name}", stated.get(name))
    if entry is None:
        entry = stated.get("*", DEFAULT) if expected.dtype.kind == "f" else EXACT
    unknown = entry.keys() - KNOWN
    if unknown:
        raise ValueError(f"the tolerance of {name} has unknown fields: {', '.join(sorted(unknown))}")
    return entry


def deviation(found: Any, expected: NDArray[Any], tolerance: Tolerance) -> float:
    """The largest deviation over the tolerance; infinite for another shape, or where NaN or infinity differ.

    "atol", "rtol": |found - expected| <= atol + rtol * |expected| for every number, or with "fraction" for that share;
    "mismatch": the largest share of differing labels. Texts are compared as JSON.
    """
    if expected.dtype.kind in "US":
        return 0.0 if json.loads(json.dumps(found)) == json.loads(str(expected)) else math.inf
    array = as_array(found)
    if array.shape != expected.shape:
        return math.inf
    if expected.size == 0:
        return 0.0
    if "mismatch" in tolerance:
        return _ratio(float(np.mean(~_same(array, expected))), tolerance["mismatch"])
    ratios = _ratios(array, expected, tolerance)
    if "fraction" in tolerance:
        return _ratio(float(np.mean(ratios > 1)), 1 - tolerance["fraction"])
    return float(ratios.max())


def as_array(found: Any) -> NDArray[Any]:
    """An array of what a runner returned: an array, a tensor on any device, or numbers."""
    if hasattr(found, "detach"):
        found = found.detach().cpu().numpy()
    return np.asarray(found)


def _ratios(found: NDArray[Any], expected: NDArray[Any], tolerance: Tolerance) -> NDArray[np.float64]:
    """|found - expected| over what is allowed, number by number; 0 for equal ones, infinite for an unequal NaN or infinity."""
    wide, wanted = found.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(wide) & np.isfinite(wanted)
    with np.errstate(divide="ignore", invalid="ignore"):
        allowed = tolerance.get("atol", 0.0) + tolerance.get("rtol", 0.0) * np.abs(wanted)
        ratios = np.abs(wide - wanted) / allowed
    return np.where(_same(found, expected), 0.0, np.where(finite, ratios, np.inf))


def _same(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    if "f" in (found.dtype.kind, expected.dtype.kind):
        return np.asarray((found == expected) | (np.isnan(found) & np.isnan(expected)))
    return np.asarray(found == expected)


def _ratio(share: float, allowed: float) -> float:
    return 0.0 if share == 0 else share / allowed if allowed > 0 else math.inf
