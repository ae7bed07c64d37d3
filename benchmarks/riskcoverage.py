"""Whether the confidence of an answer orders images by their error and says what to expect, from what accuracy.py noted of each answer.

    python benchmarks/riskcoverage.py

The error of an image is 1 less the mean IoU of the classes that its truth or its answer holds. Risk is the mean error of the
images that are labelled when only the surest are; AURC its mean over all coverages, beside that of a perfect and of a random
order; what lies between those two is to be gained, and `gained` the share of it that our order gains. Curves are made draw by
draw, since tasks are ordered by themselves, and their figures averaged; `pooled` is one curve over all (task, query). The
reliability table sets the mean confidence of the answers of a bin beside the mean IoU that they reached. Writes
bench/riskcoverage.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from common import BENCH, need_shared, write_json
from measures import Array, at_coverage, calibration_bins, risks
from results import Row, load

SHOTS = ("split", "1", "5")
PRESETS = ("default", "fast", "best")
BINS = 10  # of the reliability table


def errors(row: Row) -> tuple[Array, Array]:
    """Confidence and error (n,) of the queries of a row."""
    names = list(row["answers"])
    found = [[both / either for both, either in row["per_query"][name].values()] for name in names]
    return np.array([row["answers"][name]["confidence"] for name in names]), np.array([1 - np.mean(ious) if ious else 0.0 for ious in found])


def figures(confidence: Array, error: Array) -> dict[str, float]:
    """Risk at full and at half coverage, and AURC, of our order (n,) of errors (n,) beside a perfect and a random one."""
    curve, perfect = risks(confidence, error), risks(-error, error)
    return {
        "risk": at_coverage(curve, 1.0),
        "risk_half": at_coverage(curve, 0.5),
        "risk_half_perfect": at_coverage(perfect, 0.5),
        "aurc": float(curve.mean()),
        "aurc_perfect": float(perfect.mean()),
        "aurc_random": float(error.mean()),
    }


def told(found: dict[str, float]) -> dict[str, Any]:
    """The figures with what follows from them: whether our order and a perfect one halve the error, and the share gained."""
    room = found["aurc_random"] - found["aurc_perfect"]
    return {
        **found,
        "halved": 2 * found["risk_half"] <= found["risk"],
        "could_halve": 2 * found["risk_half_perfect"] <= found["risk"],
        "gained": (found["aurc_random"] - found["aurc"]) / room if room > 0 else None,
    }


def pooled(rows: Sequence[Row]) -> dict[str, Any]:
    """One curve and one reliability table over the queries of all rows."""
    confidence, error = (np.concatenate(column) for column in zip(*(errors(row) for row in rows), strict=True))
    bins = calibration_bins(confidence, 1 - error, BINS)
    off = sum(part["count"] * abs(part["said"] - part["measured"]) for part in bins) / len(error)
    return {"queries": len(error), **told(figures(confidence, error)), "reliability": bins, "calibration_error": off}


def main() -> None:
    """Read the rows and write bench/riskcoverage.json."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    need_shared()
    rows = load()
    table: list[dict[str, Any]] = []
    together: list[dict[str, Any]] = []
    for preset in PRESETS:
        every: list[Row] = []
        for shots, name in rows.pairs:
            draws = rows.of(f"analogy-{preset}", shots, name)
            if shots in SHOTS and draws:
                each = [figures(*errors(row)) for row in draws.values()]
                means = {key: float(np.mean([found[key] for found in each])) for key in each[0]}
                table.append({"preset": preset, "shots": shots, "set": name, "draws": len(draws), **told(means)})
                every += draws.values()
        if every:
            together.append({"preset": preset, **pooled(every)})
    write_json(BENCH / "riskcoverage.json", {"table": table, "pooled": together})
    for found in together:
        own = [row for row in table if row["preset"] == found["preset"]]
        halved, could = sum(row["halved"] for row in own), sum(row["could_halve"] for row in own)
        print(f"{found['preset']}: the surest half at least halves the error on {halved} of {len(own)} (set, shots), a perfect order on {could};")
        print(f"    pooled: {found['gained']:.0%} of the way from a random to a perfect order, calibration error {found['calibration_error']:.3f}")


if __name__ == "__main__":
    main()
