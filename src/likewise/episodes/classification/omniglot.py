"""Characters of Omniglot from a packed file, and the twenty one-shot runs of Lake et al. 2015 with their baseline.

A packed file holds, of each part, `PART.bits` (n, bytes: 105 x 105 pixels row by row, 1 ink), `PART.label`, `PART.characters`
and `PART.drawer`; of the runs `oneshot.support.bits`, `oneshot.query.bits` and `oneshot.answer`.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError
from likewise.functional.hausdorff import ink_points, modified_hausdorff

SIDE = 105
REMEDY = "Name the omniglot_mini.npz that comes with the lists"


@dataclass(frozen=True)
class OneShotRun:
    """Characters of one alphabet by different people: a support (N, H, W) of each, queries (Q, H, W), and of each query its support (Q,)."""

    support: NDArray[np.bool_]
    query: NDArray[np.bool_]
    answer: NDArray[np.int64]

    def error(self, predicted: NDArray[np.integer]) -> float:
        """The share in percent of the queries whose predicted support (Q,) is another."""
        return float(np.mean(predicted != self.answer) * 100)


@dataclass(frozen=True)
class Characters:
    """Drawings of characters: packed bits, the class of each (n,), who drew it (n,), and what the classes are called."""

    bits: NDArray[np.uint8]
    labels: NDArray[np.int64]
    drawers: NDArray[np.int64]
    names: tuple[str, ...]

    def ink(self, rows: Any) -> NDArray[np.bool_]:
        """The drawings (..., 105, 105) of rows, true where there is ink."""
        return unpacked(self.bits[rows])


def unpacked(bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Drawings (..., 105, 105) of packed bits (..., bytes)."""
    flat = np.unpackbits(bits, axis=-1, count=SIDE * SIDE).astype(bool)
    return flat.reshape(*bits.shape[:-1], SIDE, SIDE)


def read_characters(path: Path, part: str) -> Characters:
    """The characters of a part of a packed file. InputError where it is not there or damaged."""
    bits, labels, drawers, names = _read(path, [f"{part}.{field}" for field in ("bits", "label", "drawer", "characters")])
    return Characters(bits, labels.astype(np.int64), drawers.astype(np.int64), tuple(str(name) for name in names))


def read_runs(path: Path) -> list[OneShotRun]:
    """The one-shot runs of a packed file, in order. InputError where they are not there or damaged."""
    supports, queries, answers = _read(path, ["oneshot.support.bits", "oneshot.query.bits", "oneshot.answer"])
    parts = zip(unpacked(supports), unpacked(queries), answers.astype(np.int64), strict=True)
    return [OneShotRun(support, query, answer) for support, query, answer in parts]


def hausdorff_costs(run: OneShotRun) -> NDArray[np.float64]:
    """The modified Hausdorff distances (Q, N) of the queries of a run from its supports; the smallest is the baseline's answer."""
    queries, supports = ([ink_points(ink) for ink in part] for part in (run.query, run.support))
    return modified_hausdorff(queries, supports)


def _read(path: Path, names: list[str]) -> list[NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except KeyError as error:
        raise InputError(f"it holds no {error.args[0]}", where=str(path), remedy=REMEDY) from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"it cannot be read ({error})", where=str(path), remedy=REMEDY) from error
