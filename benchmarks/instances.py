"""Objects: how well masks are split into single things, by each way, on drawn masks and on true ones.

    python benchmarks/instances.py [--set nuclei ...] [--pictures]

The set's own support is learned once, as `likewise label` does; its query images are drawn once, and every way splits the same masks. "auto" is what the
task chose on its examples. The rows of true masks say what is left to win by splitting alone: the truth's own masks, split likewise. AP50 is the mean over
classes of which the query images show objects, the count error the mean over pairs of image and class with objects. The table stands in docs/instances.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from common import BENCH, DATA, DOCS, need_shared, read_json, write_json
from likewise.backbones import ImageFeatures, StageTimes
from likewise.data import Labels, Prediction
from likewise.data.images import read_image
from likewise.data.prediction import draw_labels
from likewise.formats import read_support
from likewise.labelling.object_counts import ObjectCounts, compared_objects, mean_scores
from likewise.methods.base import Query, RawPrediction
from likewise.task import Task, learn
from likewise.task.finish import finish
from likewise.task.splitting import Split, Splitter, spec_of
from marks import between_marks

OUT, PAGE = BENCH / "instances", DOCS / "instances.md"
FORMATS = {"nuclei": None, "coco_mini": "coco"}
SHOWN = 6  # pictures of a set


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the task says of an image before its masks are split, and what is true."""

    found: Prediction
    raw: RawPrediction
    features: ImageFeatures | None
    labels: Labels

    @property
    def true(self) -> Prediction:
        """The answer with the truth's masks in place of the drawn ones."""
        assert self.labels.label_map is not None
        return dataclasses.replace(self.found, labels=np.maximum(self.labels.label_map, 0).astype(self.found.labels.dtype))


def answers(task: Task, name: str) -> Iterator[Answer]:
    """The answers for the query images of a set."""
    provider, wishes = task.ready(), task.method.wants(task.memory)
    finest = spec_of(wishes)
    for example in read_support(DATA / name, format=FORMATS[name], split="query").support.examples:
        assert example.image is not None
        prepared = task.prepare(example.image)
        features = {spec: provider.extract([prepared], spec, StageTimes()) for spec in wishes}
        with torch.inference_mode():
            (raw,) = task.method.predict([Query(prepared.size)], features, task.memory)
        found = finish(raw, prepared.size, classes=task.classes, targets={}, image=example.image)
        yield Answer(found, raw, None if finest is None else features[finest][0], example.labels)


def splitters(task: Task) -> dict[str, Splitter]:
    """The ways to compare: of all classes in one way with usual numbers, and what the task chose."""
    chosen = Splitter.of(task.memory)
    splits: Mapping[int, Split] = {} if chosen is None else chosen.splits
    usual = {number: Split(unit=split.unit) for number, split in splits.items()}
    found = {"one a class": Splitter({}), "connected parts": Splitter({number: Split(way="parts") for number in task.classes})}
    found["watershed, usual numbers"] = Splitter(usual)
    return found if chosen is None else {**found, "auto": chosen}


def measured(name: str, *, pictures: bool) -> None:
    """Measure a set, and keep the rows."""
    support = read_support(DATA / name, format=FORMATS[name]).support
    start = time.perf_counter()
    task = learn(support)
    seconds = time.perf_counter() - start
    ways = splitters(task)
    totals: dict[str, dict[str, ObjectCounts]] = {f"{masks}: {way}": {} for masks in ("drawn", "true masks") for way in ways}
    spent = dict.fromkeys(ways, 0.0)
    images = 0
    for images, answer in enumerate(answers(task, name), start=1):
        for masks, base in (("drawn", answer.found), ("true masks", answer.true)):
            for way, splitter in ways.items():
                start = time.perf_counter()
                told = splitter.told_apart(base, answer.raw, answer.features)
                spent[way] += time.perf_counter() - start if masks == "drawn" else 0.0
                _count(totals[f"{masks}: {way}"], task, told, answer.labels)
                if pictures and images <= SHOWN and way in ("connected parts", "auto"):
                    _picture(told, answer.labels, OUT / f"{name}_{images}_{masks.split()[0]}_{way.split()[0]}.jpg")
    rows = {place: {**mean_scores(counts), **_counts(counts)} for place, counts in totals.items()}
    chosen = {task.classes[number]: dataclasses.asdict(split) for number, split in (ways["auto"].splits if "auto" in ways else {}).items()}
    write_json(
        OUT / f"{name}.json", {"images": images, "learn": seconds, "rows": rows, "ms": {way: 1000 * s / images for way, s in spent.items()}, "chosen": chosen}
    )


def _count(counts: dict[str, ObjectCounts], task: Task, told: Prediction, labels: Labels) -> None:
    for number, word in task.classes.names.items():
        found = compared_objects(told, labels, number, number)
        if found is not None:
            counts.setdefault(word, ObjectCounts()).add(found)


def _counts(counts: Mapping[str, ObjectCounts]) -> dict[str, float]:
    """How far counts are off over all classes: a pair of image and class, and of all objects."""
    known = [each for each in counts.values() if each.true]
    off, true, images = (sum(getattr(each, what) for each in known) for what in ("off", "true", "images"))
    return {"objects": true, "count_error": off / max(images, 1), "count_relative": off / max(true, 1), "classes": len(known)}


def _picture(told: Prediction, labels: Labels, path: Path) -> None:
    """The picture with its objects in colours of their own, beside the true ones."""
    assert told.image is not None
    assert told.instances is not None
    pixels = read_image(told.image)
    true = np.zeros(labels.size, np.int32)
    for number, one in enumerate((one for listed in labels.instances.values() for one in listed), start=1):
        one.mark(true, number)
    drawn = [draw_labels(pixels, np.where(numbers > 0, 1 + numbers % 20, 0)) for numbers in (told.instances, true)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(drawn, axis=1)).save(path, quality=88)


def table() -> list[str]:
    """The rows of all sets that were measured."""
    lines = ["| set | masks | split | AP50 | counts off by | of all objects | ms an image |", "|---|---|---|---|---|---|---|"]
    for name in FORMATS:
        record = read_json(OUT / f"{name}.json")
        for place, row in (record or {"rows": {}})["rows"].items():
            masks, _, way = place.partition(": ")
            spent = f"{record['ms'][way]:.0f}" if masks == "drawn" else ""
            lines.append(f"| {name} | {masks} | {way} | {100 * row['ap50']:.1f} | {row['count_error']:.2f} | {100 * row['count_relative']:.0f} % | {spent} |")
    return lines


def main() -> None:
    """Measure the sets that are named, all unless any is, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", choices=FORMATS, help="measure these alone")
    parser.add_argument("--pictures", action="store_true", help=f"write pictures to {OUT}")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the table")
    told = parser.parse_args()
    need_shared()
    for name in [] if told.page else told.set or list(FORMATS):
        measured(name, pictures=told.pictures)
    if PAGE.exists():
        between_marks(PAGE, "instances", table())
    print("\n".join(table()))


if __name__ == "__main__":
    main()
