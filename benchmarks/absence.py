"""Whether a class is there at all: AUROC, calibration and clean pictures, from what accuracy.py noted of each answer.

    python benchmarks/absence.py [--draws 1]

"own" rows ask for class c in the queries of its set, with and without c; "other" rows take as negatives the images of
other sets that cannot hold c (answers.py names the pairs left out). Only classes that the support shows are asked for;
"with negatives" means that some image of the support is without the class. A whole image is resampled at a time for the
intervals. Writes bench/absence.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from answers import taught
from bootstrap import Interval, resampled
from common import BENCH, meta, need_shared, semantic_sets, shown, write_json
from measures import auroc, calibration_error
from results import Row, load

PRESETS = ("default", "fast")
SHOTS = ("split", "1", "2", "5")
FROM = 0.5  # the default threshold


@dataclass(frozen=True)
class Asked:
    """One question: is class `number` of `set` in `image`, what was said, and what is true."""

    set: str
    shots: str
    number: int
    image: str
    said: float
    true: bool
    own: bool
    negatives: bool


def asked(row: Row) -> Iterator[Asked]:
    """Every question that a row of accuracy.py answers."""
    for number, negatives in taught(dict(row)).items():
        for name, answer in row["answers"].items():
            found = shown(row["set"], name)
            if found is not None:
                image, said = f"{row['set']}/{name}", answer["present"][str(number)]
                yield Asked(row["set"], row["shots"], number, image, said, number in found, True, negatives)
        for image, present in row["elsewhere"].items():
            yield Asked(row["set"], row["shots"], number, image, present[str(number)], False, False, negatives)


def rows_of(preset: str, shots: str, draws: int) -> Iterator[Row]:
    """The rows of a preset at a number of shots, over all sets."""
    for name in semantic_sets():
        yield from (row for draw, row in load().of(f"analogy-{preset}", shots, name).items() if draw < draws)


def figures(questions: Sequence[Asked]) -> dict[str, Any]:
    """AUROC and calibration error with intervals, and counts; the balanced error gives every class of every set the same weight."""
    said, true = np.array([q.said for q in questions]), np.array([q.true for q in questions])
    _, image = np.unique([q.image for q in questions], return_inverse=True)
    _, kind = np.unique([f"{q.set}/{q.number}" for q in questions], return_inverse=True)
    share = 1 / np.bincount(kind)[kind]
    return {
        "present": int(true.sum()),
        "absent": int((~true).sum()),
        "pictures": int(image.max()) + 1,
        "classes": int(kind.max()) + 1,
        "sets": len({q.set for q in questions}),
        "auroc": listed(resampled(lambda weight: auroc(said, true, weight), image)) if true.any() and not true.all() else None,
        "ece": listed(resampled(lambda weight: calibration_error(said, true, weight), image)),
        "ece_balanced": listed(resampled(lambda weight: calibration_error(said, true, weight * share), image)),
    }


def listed(found: Interval) -> list[float]:
    """Value, low and high, as JSON keeps them."""
    return [round(value, 4) for value in (found.value, found.low, found.high)]


def parts(questions: Sequence[Asked]) -> Iterator[dict[str, Any]]:
    """Rows of the table: own and other images, by kind of support, pooled over sets; then set by set."""
    for images in ("own", "other"):
        fitting = [q for q in questions if q.own or images == "other"]
        if images == "other":
            fitting = [q for q in fitting if q.true or not q.own]
        for support, chosen in (("all", (True, False)), ("with", (True,)), ("without", (False,))):
            kept = [q for q in fitting if q.negatives in chosen]
            if kept:
                yield {"images": images, "support": support, "set": None, **figures(kept)}
        for name in sorted({q.set for q in fitting}):
            yield {"images": images, "support": "all", "set": name, **figures([q for q in fitting if q.set == name])}


def clean(row: Row) -> dict[str, int] | None:
    """How many clean pictures of a row were called clean and how many defects or buildings found; None for other sets."""
    if row["set"] not in ("tile_defects", "landmark"):
        return None
    free = set(meta("tile_defects")["defect_free"]) if row["set"] == "tile_defects" else {name for name in row["answers"] if name.startswith("none_")}
    quiet = {name: all(p < FROM for p in answer["present"].values()) for name, answer in row["answers"].items()}
    things = [(name, number) for name in row["answers"] for number in shown(row["set"], name) or ()]
    found = [row["answers"][name]["present"][str(number)] >= FROM for name, number in things]
    called = [quiet[name] for name in row["answers"] if name in free]
    return {"clean": len(called), "called_clean": sum(called), "shown": len(things), "found": sum(found)}


def main() -> None:
    """Read the rows and write bench/absence.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1)
    arguments = parser.parse_args()
    need_shared()
    table: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for preset in PRESETS:
        rows = [row for shots in SHOTS for row in rows_of(preset, shots, arguments.draws)]
        questions = [question for row in rows for question in asked(row)]
        for shots in ("all", *SHOTS):
            kept = [q for q in questions if shots in ("all", q.shots)]
            table += [{"preset": preset, "shots": shots, **part} for part in parts(kept)]
        pictures += [{"preset": preset, "set": r["set"], "shots": r["shots"], "draw": r["draw"], **count} for r in rows if (count := clean(r))]
    write_json(BENCH / "absence.json", {"draws": arguments.draws, "table": table, "clean": pictures})
    print(f"{len(table)} rows on presence, {len(pictures)} on clean pictures in bench/absence.json")


if __name__ == "__main__":
    main()
