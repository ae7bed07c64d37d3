"""Published figures beside which ours are put. They stand in published.json (classification and segmentation), published_emat.json (newer ones of the same)
and published_nway.json, with their source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from likewise.episodes.augmented import Augment
from likewise.episodes.benchmark import Frame
from likewise.episodes.support import Labelling
from likewise.errors import UsageError, close_match

SUPERVISION: Mapping[Labelling, str] = {"mask": "pixel", "tag": "image", "box": "pixel", "point": "pixel", "scribble": "pixel", "mix": "pixel"}
_LABELLING: Mapping[str, Labelling] = {"pixel": "mask", "image": "tag", "mixed": "tag"}
_EMAT = "published_emat.json"
_OF_STUDIES = ("heads", "loss_weight", "percent_true_masks")  # what rows of ablations alone say


@dataclass(frozen=True)
class Published:
    """A row of a table of the paper: scores in percent, averages over four folds of 1,000 episodes."""

    table: str
    benchmark: str
    frame: Frame
    supervision: str
    way: int
    shot: int
    method: str
    variant: Mapping[str, Any]
    average: Mapping[str, float]
    folds: Mapping[str, Sequence[float]]
    augment: Augment = "none"

    @property
    def title(self) -> str:
        """The method and what tells it from others of its table.

        >>> rows_of("a.8")[0].title
        'CST, loss weight 0.05'
        """
        words = {"pseudo_masks": {True: "pseudo masks", False: "no pseudo masks"}.get(self.variant.get("pseudo_masks", None))}
        words |= {name: f"{name.replace('_', ' ')} {value}" for name, value in self.variant.items() if name not in ("pseudo_masks", "backbone")}
        return ", ".join([self.method, *(word for word in words.values() if word)])

    @property
    def asked(self) -> tuple[Frame, Labelling, int, int]:
        """What has to be evaluated to stand beside it: frame, support, ways, shots."""
        return self.frame, _LABELLING[self.supervision], self.way, self.shot


@cache
def _file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("likewise.episodes").joinpath(name).read_text("utf-8"))
    return found


def _of_frame(frame: Frame) -> dict[str, Any]:
    return _file("published_nway.json" if frame == "nway" else "published.json")


@cache
def every_row() -> tuple[Published, ...]:
    """All rows of the paper on classification and segmentation, in its order."""
    return tuple(Published(**row) for row in _of_frame("fscs")["rows"])


@cache
def nway_rows() -> tuple[Published, ...]:
    """The rows of N-way segmentation, by ways."""
    rows = _of_frame("nway")["rows"]
    return tuple(Published(table="", benchmark="coco-20i", frame="nway", supervision="pixel", variant={}, folds={}, **row) for row in rows)


@cache
def emat_rows() -> tuple[Published, ...]:
    """The rows of EMAT's public table: 2-way 1-shot, with and without augmented episodes."""
    return tuple(Published(table="", frame="fscs", supervision="pixel", variant={}, folds={}, **row) for row in _file(_EMAT)["rows"])


def source() -> str:
    """Where the figures of the paper on classification and segmentation are from."""
    return str(_of_frame("fscs")["source"])


def protocol() -> str:
    """How they were made."""
    return str(_of_frame("fscs")["protocol"])


def sources(rows: Sequence[Published], frame: Frame) -> list[str]:
    """How figures were made and where they are from, of each table that rows are of; without rows what would stand there."""
    newer = [row for row in rows if row in emat_rows()]
    files = [_of_frame(frame)] * (not newer or len(newer) < len(rows)) + [_file(_EMAT)] * bool(newer)
    return [f"{file['protocol']}. {file['source']}." for file in files]


def rows_of(table: str) -> list[Published]:
    """The rows of a table by its name in the paper ("1", "a.14"); UsageError with the closest match for one that is not there."""
    known = dict.fromkeys(row.table for row in every_row())
    if table not in known:
        raise UsageError(f"there is no table {table!r} with figures that can be repeated", where="table", remedy=close_match(table, known))
    return [row for row in every_row() if row.table == table]


def rows_beside(benchmark: str, frame: Frame, labelling: Labelling, way: int, shot: int, augment: Augment = "none") -> list[Published]:
    """Rows of the same setting, of this benchmark if there are any, else of all: each method once, without ablations."""
    if frame == "nway":
        return [row for row in nway_rows() if (row.supervision, row.way, row.shot) == (SUPERVISION[labelling], way, shot)]
    same = [
        row
        for row in (*every_row(), *emat_rows())
        if (row.frame, row.supervision, row.way, row.shot, row.augment) == (frame, SUPERVISION[labelling], way, shot, augment)
        and not any(name in row.variant for name in _OF_STUDIES)
        and " " not in row.method
    ]
    same = [row for row in same if row.benchmark == benchmark] or same
    return list({(row.benchmark, row.title): row for row in reversed(same)}.values())[::-1]
