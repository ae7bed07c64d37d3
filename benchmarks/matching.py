"""Why matching at the level of patches works: patch against region against image, on the same frozen features.

    python benchmarks/matching.py [--only FAMILY ...]

The labels of a support are read off by attention, softmax(cosine / temperature), with tokens and labels averaged over
patches, blocks, regions that look alike, or whole images; the temperature is the best for left-out examples, for each form
by itself. "Best possible" is the truth averaged over the same units of the query. Three draws for each number of images.
One JSON a row, bench/matching/FAMILY/SHOTS/DRAW.json; a row that is there is not made again unless other code made it.
tables_matching.py writes the page from them.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pooling
from common import BENCH, need_shared, read_json, write_json
from likewise import Prediction, Support
from likewise.backbones import FeatureProvider, FeatureSpec, ImageFeatures
from likewise.data import ClassTable
from likewise.functional.links import link_of
from likewise.labelling.scoring import Scorer, ScoreTotals
from likewise.methods.base import RawPrediction
from likewise.methods.dense import as_grid, value_rows
from likewise.methods.keypoints import with_heatmaps
from likewise.methods.prompts import patch_labels
from likewise.methods.registry import method_class
from likewise.task.finish import finish
from likewise.task.learning import Place, open_provider
from pooling import Picture, Units
from target_families import Family, InMemory, families, masks
from targets import flat, support_mean

OUT = BENCH / "matching"
SHOTS = ("1", "5", "10")
SPEC = FeatureSpec(layers=(-1,), side=448)
PATCH, IMAGE = Units("patch"), Units("image")
FORMS: dict[str, tuple[Units, Units]] = {  # query units, support units
    "patch": (PATCH, PATCH),
    "2x2 block": (Units("block", 2),) * 2,
    "4x4 block": (Units("block", 4),) * 2,
    "64 regions": (Units("alike", 64),) * 2,
    "16 regions": (Units("alike", 16),) * 2,
    "4 regions": (Units("alike", 4),) * 2,
    "image": (IMAGE, IMAGE),
    "patch of 16 regions": (PATCH, Units("alike", 16)),
    "16 regions of patches": (Units("alike", 16), PATCH),
    "patch of 16 patches": (PATCH, Units("few", 16)),
}
COPIED, MEAN = "image, its map", "mean"
CEILINGS = ("patch", "2x2 block", "4x4 block", "64 regions", "16 regions", "4 regions", "image")
_NOTHING = 1e-6  # share of a class that stands for none in a logarithm


def asked() -> dict[str, Family]:
    """The families of this bench: classes and targets of different kinds, from 1, 5 and 10 images where there are enough."""
    own = families()
    found = {"objects": masks("objects", ("1", "2")), "streets": masks("camvid", ("1", "5", "10"))}
    for name in ("depth", "normals", "edges", "density", "keypoints"):
        draws = {shots: draws for shots, draws in own[name].draws.items() if shots in SHOTS}
        found[name] = dataclasses.replace(own[name], draws=draws)
    return found


class Bench:
    """Pictures of a family: features from the one pass over the backbone, labels as values of patches."""

    def __init__(self, family: Family, provider: FeatureProvider) -> None:
        self._family, self._provider = family, provider
        self.features = functools.cache(self._features)

    def support(self, names: Sequence[str]) -> Support:
        """The examples with these names; keypoints as they are."""
        return Support([self._family.example(name) for name in names], classes=self._family.classes or None, targets=dict(self._family.targets))

    def pictures(self, support: Support) -> list[Picture]:
        """The patches of a support: shares of classes, then components of targets."""
        learned = with_heatmaps(method_class("nearest"), support)
        items = [self.features(example.name) for example in learned.examples]
        return [self._picture(learned, place, items[place]) for place in range(len(items))]

    def prediction(self, support: Support, name: str, values: Tensor) -> Prediction:
        """The prediction that values (P, C) of the patches of an image stand for."""
        learned, item = with_heatmaps(method_class("nearest"), support), self.features(name)
        count = len(support.classes) + 1 if support.classes.names else 0
        logits = values[:, :count].clamp_min(_NOTHING).log().T.reshape(count, *item.grid) if count else None
        dense, links = {}, {target: link_of(about.kind, about.unit) for target, about in learned.targets.items()}
        for target, (first, last) in _columns(learned, count, values.shape[1]).items():
            dense[target] = as_grid(values[:, first:last], item, links[target])
        raw = RawPrediction(logits, dense=dense, links=links, gated=False)
        return finish(raw, item.size, classes=support.classes, targets=learned.targets, image=None)

    def _features(self, name: str) -> ImageFeatures:
        image = self._family.example(name).image
        assert image is not None
        return self._provider.extract([self._provider.prepare(image, (SPEC,))], SPEC)[0]

    def _picture(self, support: Support, place: int, item: ImageFeatures) -> Picture:
        tokens = item.joined()
        alone = Support.of([support.examples[place]], support.classes, support.targets, keypoints=())
        parts, weight = [], torch.ones(len(tokens))
        if support.classes.names:
            labels = patch_labels(alone, [item])[0]
            parts, weight = [labels.shares], labels.weight
        for target in support.targets:
            rows = value_rows(alone, [item], target)
            components = rows.components()
            parts.append(torch.zeros(len(tokens), components.shape[1]).index_put((rows.patch,), components))
            weight = torch.zeros(len(tokens)).index_put((rows.patch,), rows.weight)
        return Picture(tokens, torch.cat(parts, dim=1), weight, item.grid)


def _columns(support: Support, first: int, last: int) -> dict[str, tuple[int, int]]:
    """Where the components of each target are: all have as many."""
    each = (last - first) // max(1, len(support.targets))
    return {name: (first + place * each, first + (place + 1) * each) for place, name in enumerate(support.targets)}


def measure(bench: Bench, family: Family, support: Sequence[str], query: Sequence[str]) -> dict[str, Any]:
    """A row: for each form its scores, its temperature and, where it was asked for, the best possible."""
    given = bench.support(support)
    pictures = bench.pictures(given)
    temperatures = {name: pooling.best_temperature(pictures, *units) for name, units in FORMS.items()}
    temperatures[COPIED] = pooling.best_temperature(pictures, None, None)
    truth = InMemory(family, given.keypoints)
    scorer = Scorer(truth, ClassTable(family.classes), family.targets, given.keypoints)  # type: ignore[arg-type]  # it asks for no more than this
    totals = {name: ScoreTotals() for name in (*FORMS, COPIED, MEAN, *(f"best {name}" for name in CEILINGS))}
    for name in query:
        asked = bench.pictures(bench.support([name]))[0]
        answers = {form: pooling.answer(asked, pictures, *units, temperatures[form]) for form, units in FORMS.items()}
        answers[COPIED] = pooling.copied(asked, pictures, temperatures[COPIED])
        for form in CEILINGS:
            own = pooling.cut(asked, FORMS[form][0])
            answers[f"best {form}"] = own.values[own.unit]
        predictions = {form: bench.prediction(given, name, values) for form, values in answers.items()}
        predictions[MEAN] = support_mean(given, predictions["patch"])
        for form, prediction in predictions.items():
            compared = scorer.compare(name, prediction)
            if compared is not None:
                totals[form].add(compared)
    return {"scores": {form: flat(found.scores() or {}) for form, found in totals.items()}, "temperatures": temperatures}


def code() -> str:
    """SHA-256 of the code of this bench."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in ("matching.py", "pooling.py"))).hexdigest()


def main() -> None:
    """Measure what was not measured yet, then write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    provider = open_provider("auto", Place(), method_class("nearest")(), None)
    found = asked()
    with torch.inference_mode():
        for name, family in found.items():
            bench = Bench(family, provider)
            if arguments.only and name not in arguments.only:
                continue
            for shots, draws in family.draws.items():
                for index, (support, query) in enumerate(draws):
                    path = OUT / name / shots / f"{index}.json"
                    if (read_json(path) or {}).get("code") == code():
                        continue
                    start = time.perf_counter()
                    row = measure(bench, family, support, query)
                    write_json(path, {"family": name, "shots": shots, "support": list(support), **row, "code": code()})
                    print(name, shots, index, f"{time.perf_counter() - start:.1f} s", {form: row["scores"][form] for form in ("patch", "image")}, flush=True)


if __name__ == "__main__":
    main()
