"""The curves of presence and of expected quality that `analogy` ships, fitted on what it shows of each class in labelled images.

    python benchmarks/calibrators.py gather [--shard i/n] [--sets NAME ...]
    python benchmarks/calibrators.py fit

`gather` learns on the first draws of the split and of one and five images a class, under `fast` and `default`, and notes the
evidence for every class that the support shows: in the queries, and in images of other sets that cannot hold it. One JSON a
task, bench/calibrators/PRESET/SHOTS/SET/0.json; one that is there is not made again, so remove the folder when read-outs have
changed. `fit` fits on the sets that may be shipped from, writes trust.json into the package, and prints how curves do that were
fitted without the set they are judged on, and how the shipped ones do on the sets they were not fitted on (without what a
support's own examples add). Of each set its queries with a class count as much as those without it, and half as much images of other sets.
No picture takes part in what is shipped whose licence does not allow it, also not as an image of another set.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import likewise
from accuracy import shard
from answers import strangers
from common import BENCH, IGNORE, Cell, cells, classes, need_shared, picture, read_json, semantic_sets, truth, write_json
from likewise.functional.calibration import PRESENT_FROM
from likewise.methods.analogy import presence, quality
from likewise.methods.analogy.evidence import Evidence
from likewise.methods.base import Preset
from measures import Array, auroc, calibration_error

OUT, TRUST = BENCH / "calibrators", Path(presence.__file__).with_name("trust.json")
SHOTS = ("split", "1", "5")
PRESETS: tuple[Preset, ...] = ("fast", "default")
LICENCES = {"nuclei": "CC0", "retina": "CC BY 4.0", "subjects": "CC BY 4.0", "tile_defects": "free to use with citation"}
PRESENCE, QUALITY = ("lead", "found", "familiar", "margin"), ("dice", "found", "margin")
HOW = (
    "logistic regression on tasks of the split and of 1 and 5 images a class under fast and default; "
    "of each set its images with a class count as much as those without, half as much images of the other sets named"
)
Bools = NDArray[np.bool_]


@contextmanager
def noted() -> Iterator[dict[str, Any]]:
    """A dictionary that holds evidence and soft Dice of the last image asked about, for which every class passes as present."""
    last: dict[str, Any] = {}

    def said(evidence: Evidence, moved: Tensor, seen: Tensor) -> Tensor:
        last["evidence"] = evidence
        return torch.ones(len(moved)) * seen

    def expected(dice: Tensor, evidence: Evidence) -> Tensor:
        last["dice"] = dice
        return dice

    with patch.object(presence, "said", said), patch.object(quality, "expected", expected):
        yield last


def gather(cell: Cell, preset: Preset) -> dict[str, list[float]]:
    """What the task of a cell shows of each class that its support shows, as columns of equal length."""
    examples = [likewise.Example(picture(cell.set, name), label_map=truth(cell.set, name)) for name in cell.support]
    task = likewise.learn(likewise.Support(examples, classes=classes(cell.set)), preset=preset)
    seen = task.memory.tensors["seen"][1:].tolist()
    rows: list[dict[str, float]] = []
    free = cell.set in LICENCES
    with noted() as last:
        for owner, name in (*((cell.set, name) for name in cell.query), *strangers(cell.set)):
            labels = task.predict(picture(owner, name)).labels
            true = truth(owner, name) if owner == cell.set else np.zeros_like(labels)
            for place, number in enumerate(task.classes.numbers):
                if seen[place]:
                    shown = {key: float(getattr(last["evidence"], key)[place]) for key in PRESENCE}
                    rows.append(
                        {
                            "own": owner == cell.set,
                            "free": free and owner in LICENCES,
                            **compared(labels == number, true == number, true != IGNORE),
                            **shown,
                            "dice": float(last["dice"][place]),
                        }
                    )
    return {key: [row[key] for row in rows] for key in rows[0]}


def compared(answer: Bools, true: Bools, known: Bools) -> dict[str, float]:
    """Whether a class is truly there and whether it was found, and the IoU, of masks (H, W)."""
    answer, true = answer & known, true & known
    return {"true": bool(true.any()), "claimed": bool(answer.any()), "iou": float((answer & true).sum() / max(1, (answer | true).sum()))}


def columns() -> tuple[dict[str, Array], NDArray[np.str_]]:
    """Everything gathered as columns (n,), and the set (n,) of each row."""
    tables = [(path.parent.name, read_json(path)) for path in sorted(OUT.glob("*/*/*/0.json"))]
    sets = np.concatenate([[name] * len(table["own"]) for name, table in tables])
    return {key: np.concatenate([np.array(table[key], float) for _, table in tables]) for key in tables[0][1]}, sets


def even(groups: Sequence[tuple[Bools, float]], sets: NDArray[np.str_]) -> Array:
    """Weights (n,), of mean 1, that give each group of each set, a mask (n,), the same in all, times a factor."""
    weight = np.zeros(len(sets))
    for name in np.unique(sets):
        for member, factor in groups:
            own = member & (sets == name)
            weight[own] = factor / max(1, own.sum())
    return weight * len(weight) / weight.sum()


def presence_fit(table: Mapping[str, Array], sets: NDArray[np.str_], kept: Bools) -> LogisticRegression:
    """The curve of presence on some rows (n,)."""
    own, true = table["own"] > 0, table["true"] > 0
    weight = even([(own & true, 1.0), (own & ~true, 1.0), (~own, 0.5)], sets)
    return LogisticRegression(C=1e3).fit(stacked(table, PRESENCE)[kept], true[kept], weight[kept])


def quality_fit(table: Mapping[str, Array], sets: NDArray[np.str_], kept: Bools) -> LogisticRegression:
    """The curve of expected IoU on those of some rows (n,) that would be found: each counts as a hit by its IoU and as a miss by the rest."""
    kept = kept & found(table)
    weight, rows, iou = even([(kept, 1.0)], sets)[kept], stacked(table, QUALITY)[kept], table["iou"][kept]
    hits = np.repeat([1, 0], len(iou))
    return LogisticRegression(C=1e3).fit(np.concatenate([rows, rows]), hits, np.concatenate([weight * iou, weight * (1 - iou)]))


def found(table: Mapping[str, Array]) -> Bools:
    """Rows (n,) of own images whose class is claimed and passes as present."""
    return (table["own"] > 0) & (table["claimed"] > 0) & (table["presence"] >= PRESENT_FROM)


def stacked(table: Mapping[str, Array], names: Sequence[str]) -> Array:
    """Columns side by side (n, k) as the curves take them."""
    return np.stack([quality.limited(torch.from_numpy(table[name])).numpy() if name == "dice" else table[name] for name in names], axis=1)


def told(fit: LogisticRegression, names: Sequence[str]) -> dict[str, float]:
    """The weights of a curve by name."""
    return {"bias": round(float(fit.intercept_[0]), 3), **{name: round(float(by), 3) for name, by in zip(names, fit.coef_[0], strict=True)}}


def report(name: str, table: Mapping[str, Array], kept: Bools) -> None:
    """Print how presence (n,) and expected quality (n,), columns of the table, do on some rows."""
    own, true = table["own"] > 0, table["true"] > 0
    for images, rows in (("own", kept & own), ("other", kept & (true | ~own))):
        said = table["presence"][rows]
        print(f"{name}, {images} images: presence AUROC {auroc(said, true[rows]):.3f}, ECE {calibration_error(said, true[rows]):.3f}, {rows.sum()} rows")
    rows = kept & found(table)
    said, iou = table["quality"][rows], table["iou"][rows]
    print(f"{name}: expected IoU {said.mean():.3f}, measured {iou.mean():.3f}, correlation {np.corrcoef(said, iou)[0, 1]:.2f}, {rows.sum()} rows")


def fitted(table: Mapping[str, Array], sets: NDArray[np.str_], kept: Bools) -> tuple[dict[str, Array], dict[str, Any]]:
    """The table with presence and quality (n,) by curves fitted on some rows (n,), and these curves."""
    curve = presence_fit(table, sets, kept)
    full = {**table, "presence": curve.predict_proba(stacked(table, PRESENCE))[:, 1]}
    best = quality_fit(full, sets, kept)
    full["quality"] = best.predict_proba(stacked(full, QUALITY))[:, 1]
    return full, {"presence": told(curve, PRESENCE), "quality": told(best, QUALITY)}


def fit() -> None:
    """Fit, report and write trust.json."""
    table, sets = columns()
    left = {key: np.zeros(len(sets)) for key in ("presence", "quality")}
    for name in np.unique(sets):
        full, _ = fitted(table, sets, sets != name)
        for key, column in left.items():
            column[sets == name] = full[key][sets == name]
    report("left-out sets", {**table, **left}, np.ones(len(sets), bool))
    full, curves = fitted(table, sets, table["free"] > 0)
    report("shipped, sets not fitted on", full, ~np.isin(sets, list(LICENCES)))
    write_json(TRUST, {"fitted_on": LICENCES, "how": HOW, **curves})
    print(f"{TRUST.name}: {curves}")


def main() -> None:
    """Gather or fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("gather", "fit"))
    parser.add_argument("--shard", type=shard, default=(1, 1), help="i/n: the i-th of n shares of the work")
    parser.add_argument("--sets", nargs="*", default=[])
    arguments = parser.parse_args()
    need_shared()
    if arguments.step == "fit":
        fit()
        return
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    index, count = arguments.shard
    wanted = [(preset, cell) for preset in PRESETS for cell in cells(arguments.sets, SHOTS, 1) if cell.set in semantic_sets()]
    for preset, cell in wanted[index - 1 :: count]:
        path = OUT / preset / cell.place
        if not path.exists():
            print("gathering", path.relative_to(OUT), flush=True)
            write_json(path, gather(cell, preset))


if __name__ == "__main__":
    main()
