"""Targets that are no classes, learned by one method from a few images and compared with the mean of its support.

    python benchmarks/targets.py [--method NAME] [--only FAMILY ...] [--docs]

Depth and normals of `rgbd` from 1, 3 and 6 frames; strength of edges, made from the images of the same frames; the density of
`nuclei` from the centres of its instances, at three fixed draws of 1, 2, 5 and 10 images; the four points of
`keypoints_mouse` from 1, 5 and 10 frames, three draws each from a fixed seed. One JSON a row, bench/targets/METHOD/FAMILY/SHOTS/DRAW.json;
a row that is there is not made again unless other code made it. `--docs` writes the table into docs/targets.md from what was measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import likewise
from common import BENCH, DATA, DOCS, cells, meta, need_shared, picture, read_json, write_json
from likewise import Example, Prediction, Support, Target
from likewise.data import ClassTable, Labels
from likewise.data.images import read_image
from likewise.data.resolve import resolve
from likewise.formats.recognise import open_dataset
from likewise.functional.target_maps import density_map, texture_edges
from likewise.labelling.scoring import Scorer, ScoreTotals
from provenance import code_key

OUT = BENCH / "targets"
DRAWS = 3  # fixed ones of nuclei; of keypoints_mouse, for which there are none, from a seed
_BEGIN, _END = "<!-- measured -->", "<!-- end -->"
_SPREAD = 3.0  # pixels of a nucleus's bump: below its radius


@dataclasses.dataclass(frozen=True)
class Family:
    """Images with one target or its keypoints: an example of an image by name, what the target is, and the supports by shots."""

    example: Callable[[str], Example]
    targets: Mapping[str, Target]
    draws: Mapping[str, list[tuple[tuple[str, ...], tuple[str, ...]]]]
    shown: tuple[tuple[str, str, float], ...]  # scores in the table: name, words, factor


class InMemory:
    """The truth of a family, as `Scorer` asks for it."""

    def __init__(self, family: Family, keypoints: tuple[str, ...]) -> None:
        self.classes, self.targets, self.keypoints, self._family = ClassTable({}), dict(family.targets), keypoints, family

    def labels(self, name: str, size: tuple[int, int]) -> Labels:
        """The labels of an image."""
        return resolve(self._family.example(name), name, size, self.classes, self.targets, None)


def families() -> dict[str, Family]:
    """Every family by name."""
    frames = {str(cell.shots): [(cell.support, cell.query)] for cell in cells(["rgbd"], ("split",))}
    nuclei: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    for cell in cells(["nuclei"], ("1", "2", "5", "10"), DRAWS):
        nuclei.setdefault(cell.shots, []).append((cell.support, cell.query))
    directions = (("mean", "mean degrees", 1.0), ("median", "median", 1.0), ("within_11.25", "% within 11.25", 100.0), ("within_30", "% within 30", 100.0))
    relative = (("abs_rel", "absolute relative error", 1.0), ("delta_1.25", "% within a factor of 1.25", 100.0))
    points = (
        ("pck_0.1", "% within a tenth of the size", 100.0),
        ("pck_0.2", "% within a fifth", 100.0),
        ("median", "median pixels", 1.0),
        ("error", "mean pixels", 1.0),
    )
    return {
        "depth": Family(_rgbd("depth"), {"depth": Target(unit="mm")}, frames, relative),
        "normals": Family(_rgbd("normals"), {"normals": Target(kind="unit_vector")}, frames, directions),
        "edges": Family(_edges, {"edges": Target(kind="soft_mask")}, frames, (("mae", "mean absolute error", 1.0), ("rmse", "RMSE", 1.0))),
        "density": Family(
            _nuclei, {"nuclei": Target(kind="density")}, nuclei, (("count_error", "count off by", 1.0), ("count_relative", "% of all nuclei", 100.0))
        ),
        "keypoints": Family(_mouse, {}, {str(n): list(_drawn(n)) for n in (1, 5, 10)}, points),
    }


def measure(family: Family, method: str, support: tuple[str, ...], query: tuple[str, ...]) -> dict[str, Any]:
    """A row: one task, its scores on the queries, and those of the support's mean."""
    examples = [family.example(name) for name in support]
    given = Support(examples, targets=dict(family.targets))
    start = time.perf_counter()
    task = likewise.learn(given, method=method)
    learned = time.perf_counter() - start
    truth = InMemory(family, given.keypoints)
    scorer = Scorer(truth, ClassTable({}), family.targets, given.keypoints)  # type: ignore[arg-type]  # it asks for no more than this
    ours, mean = ScoreTotals(), ScoreTotals()
    start = time.perf_counter()
    for name in query:
        prediction = task.predict(family.example(name).image)
        for totals, answer in ((ours, prediction), (mean, support_mean(given, prediction))):
            compared = scorer.compare(name, answer)
            if compared is not None:
                totals.add(compared)
    each = (time.perf_counter() - start) / len(query)
    scores = [_flat(totals.scores() or {}) for totals in (ours, mean)]
    return {"scores": scores[0], "mean": scores[1], "left_out": task.left_out, "learn_s": learned, "each_s": each, "weights": task.weights["backbone"]}


def support_mean(support: Support, answer: Prediction) -> Prediction:
    """The answer of one who looks at the examples alone: the mean value everywhere, the mean count, the mean place of each point."""
    height, width = answer.size
    dense: dict[str, NDArray[np.float32]] = {}
    for name, target in support.targets.items():
        maps = [(example.labels.size, example.labels.dense[name]) for example in support.examples]
        if target.kind == "density":
            value = np.array([statistics.mean(float(values.mean()) * size[0] * size[1] for size, values in maps) / (height * width)])
        else:
            value = np.nanmean(np.concatenate([values.reshape(-1, values.shape[2]) for _, values in maps]), axis=0)
        dense[name] = np.broadcast_to(value.astype(np.float32), (height, width, len(value)))
    points = {}
    for name in support.keypoints:
        shares = [np.array(point) / example.labels.size[::-1] for example in support.examples if (point := example.labels.keypoints.get(name)) is not None]
        x, y = np.mean(shares, axis=0) * (width, height)
        points[name] = (float(x), float(y), 1.0)
    return dataclasses.replace(answer, dense=dense, keypoints=points)


def table() -> list[str]:
    """The measured rows: a line for each family and number of images, ours beside the support's mean."""
    lines = ["| target | images | score | `analogy` | support's mean |", "| --- | --- | --- | --- | --- |"]
    for name, family in families().items():
        for shots in family.draws:
            rows = [row for draw in range(DRAWS) if (row := read_json(OUT / "analogy" / name / shots / f"{draw}.json")) is not None]
            for score, words, factor in family.shown if rows else ():
                ours, mean = (factor * statistics.mean(row[who][score] for row in rows) for who in ("scores", "mean"))
                lines.append(f"| {name} | {shots} | {words} | {ours:.3g} | {mean:.3g} |")
    return lines


def _flat(scores: dict[str, Any]) -> dict[str, float]:
    """The scores of the one target, or of all keypoints."""
    return scores["keypoints"]["all"] if "keypoints" in scores else next(iter(scores["dense"].values()))


def _rgbd(target: str) -> Callable[[str], Example]:
    data = open_dataset(DATA / "rgbd")

    def example(name: str) -> Example:
        whole = data.example(name)
        return Example(whole.image, name, dense={target: whole.dense[target]})

    return functools.cache(example)


def _edges(name: str) -> Example:
    image = picture("rgbd", name)
    return Example(image, name, dense={"edges": texture_edges(read_image(image))})


@functools.cache
def _nuclei(name: str) -> Example:
    numbers = np.asarray(Image.open(DATA / "nuclei" / "instances" / f"{name}.png"))
    places = [np.argwhere(numbers == number).mean(0) + 0.5 for number in np.unique(numbers[numbers > 0])]
    return Example(picture("nuclei", name), name, dense={"nuclei": density_map([(x, y) for y, x in places], numbers.shape[:2], _SPREAD)})


@functools.cache
def _mouse(name: str) -> Example:
    return open_dataset(DATA / "keypoints_mouse").example(name)


def _drawn(count: int) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    split = meta("keypoints_mouse")["split"]
    names, random = sorted([*split["support"], *split["query"]]), np.random.default_rng(12)
    for _ in range(DRAWS):
        order = [names[place] for place in random.permutation(len(names))]
        yield tuple(sorted(order[:count])), tuple(sorted(order[count:]))


def write_page(page: Path) -> None:
    """Put the table into the page, between its two marks."""
    before, rest = page.read_text(encoding="utf-8").split(_BEGIN)
    _, after = rest.split(_END)
    page.write_text("\n".join([before + _BEGIN, *table(), _END + after]), encoding="utf-8")


def main() -> None:
    """Measure what was not measured yet, then write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="analogy")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--docs", action="store_true")
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    code = code_key(arguments.method)
    for name, family in families().items():
        if arguments.only and name not in arguments.only:
            continue
        for shots, draws in family.draws.items():
            for index, (support, query) in enumerate(draws):
                path = OUT / arguments.method / name / shots / f"{index}.json"
                if (read_json(path) or {}).get("code") != code:
                    row = measure(family, arguments.method, support, query)
                    write_json(path, {"family": name, "shots": shots, "support": list(support), **row, "code": code})
                    print(name, shots, index, {"ours": row["scores"], "mean": row["mean"]}, flush=True)
    if arguments.docs:
        write_page(DOCS / "targets.md")


if __name__ == "__main__":
    main()
