"""The page of matching.py: forms beside each other, from whatever rows stand in bench/matching.

python benchmarks/tables_matching.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import DOCS, need_shared, read_json
from marks import between_marks
from matching import CEILINGS, COPIED, FORMS, MEAN, OUT, asked
from target_families import Family, families
from targets import alike, spread

_NOTHING = 1e-4  # a count that is off by less is right
TRAINED = {"vtm": "patches", "vtm:matching=region": "4x4 blocks", "vtm:matching=global": "everything"}


def table(rows: Mapping[str, Mapping[str, list[dict[str, Any]]]], shown: Mapping[str, tuple[str, str, float]]) -> list[str]:
    """A line a form, a column a family and number of images: the mean over draws of its first score, and the spread."""
    columns = [(family, shots) for family, found in rows.items() for shots in found if found[shots]]
    lines = ["| form | " + " | ".join(f"{family}, {shots}" for family, shots in columns) + " |", "| --- |" + " --- |" * len(columns)]
    for form in (*FORMS, COPIED, MEAN, *(f"best {name}" for name in CEILINGS)):
        cells = [_cell([row["scores"][form].get(shown[family][0]) for row in rows[family][shots]], shown[family][2]) for family, shots in columns]
        lines.append(f"| {form} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: Sequence[float | None], factor: float) -> str:
    known = [factor * value for value in values if value is not None]
    return spread(known) if max(known, default=1) > _NOTHING else "0"


def trained(shots: str = "5") -> list[str]:
    """A line a family: the trained network by its setting `matching`, from rows of targets.py."""
    lines = ["| target | score | mean of the examples | " + " | ".join(TRAINED.values()) + " |", "| --- " * (3 + len(TRAINED)) + "|"]
    for name, family in families().items():
        score, words, factor = family.shown[0]
        rows = alike(list(TRAINED), name, family, shots)
        if len(rows) == len(TRAINED):
            mean = spread([factor * row["mean"][score] for row in rows["vtm"]])
            cells = [spread([factor * row["scores"][score] for row in rows[variant]]) for variant in TRAINED]
            lines.append(f"| {name} | {words} | {mean} | " + " | ".join(cells) + " |")
    return lines


def write_page(page: Path, found: Mapping[str, Family]) -> None:
    """Put the table into the page."""
    rows = {
        name: {shots: [row for index in range(len(draws)) if (row := read_json(OUT / name / shots / f"{index}.json"))] for shots, draws in family.draws.items()}
        for name, family in found.items()
    }
    between_marks(page, "measured", table(rows, {name: family.shown[0] for name, family in found.items()}))
    between_marks(page, "trained", trained())


if __name__ == "__main__":
    need_shared()
    write_page(DOCS / "matching.md", asked())
