"""Whether the confidence of an answer orders images by their error, from what accuracy.py noted of each answer.

    python benchmarks/riskcoverage.py

The error of an image is 1 less the mean IoU of the classes that its truth or its answer holds. Risk is the mean error of the
images that are labelled when only the surest are; AURC its mean over all coverages, beside that of a perfect and of a random
order. Curves are made draw by draw, since tasks are ordered by themselves, and their figures averaged. Writes
bench/riskcoverage.json.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from common import BENCH, need_shared, write_json
from measures import Array, at_coverage, risks
from results import Row, load

SHOTS = ("split", "1", "5")
PRESETS = ("default", "fast", "best")


def errors(row: Row) -> tuple[Array, Array]:
    """Confidence and error (n,) of the queries of a row."""
    names = list(row["answers"])
    found = [[both / either for both, either in row["per_query"][name].values()] for name in names]
    return np.array([row["answers"][name]["confidence"] for name in names]), np.array([1 - np.mean(ious) if ious else 0.0 for ious in found])


def figures(row: Row) -> dict[str, float]:
    """Risk at full and at half coverage, and AURC beside that of a perfect and of a random order."""
    confidence, error = errors(row)
    curve = risks(confidence, error)
    return {
        "risk": at_coverage(curve, 1.0),
        "risk_half": at_coverage(curve, 0.5),
        "risk_half_perfect": at_coverage(risks(-error, error), 0.5),
        "aurc": float(curve.mean()),
        "aurc_perfect": float(risks(-error, error).mean()),
        "aurc_random": float(error.mean()),
    }


def main() -> None:
    """Read the rows and write bench/riskcoverage.json."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    need_shared()
    rows = load()
    table: list[dict[str, Any]] = []
    for preset in PRESETS:
        for shots, name in rows.pairs:
            draws = rows.of(f"analogy-{preset}", shots, name)
            if shots in SHOTS and draws:
                each = [figures(row) for row in draws.values()]
                means = {key: float(np.mean([found[key] for found in each])) for key in each[0]}
                table.append({"preset": preset, "shots": shots, "set": name, "draws": len(draws), **means, "halved": 2 * means["risk_half"] <= means["risk"]})
    write_json(BENCH / "riskcoverage.json", table)
    for preset in PRESETS:
        own = [row for row in table if row["preset"] == preset]
        print(f"{preset}: the surest half at least halves the error on {sum(row['halved'] for row in own)} of {len(own)} (set, shots)")


if __name__ == "__main__":
    main()
