"""Classes of which only attributes are known: trained networks against a closed form, chance, and one or five images a class.

    python benchmarks/zero_shot.py [--seeds 0 1 2] [--page]

Photographs of `caltech_mini`, attributes of recipes/classifiers/caltech_attributes.csv, features of the default backbone. 28 classes train with their
first 15 pictures (the other 5 are asked in the generalised test), 8 validate, 12 test. Everything stands below bench/zero_shot: trainings that
are there go on or are done, figures of each seed are a file. The table stands in docs/methods/zero_shot.md; --page writes it of what is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from common import BENCH, DATA, DOCS, ROOT, need_shared
from likewise import weights
from likewise.backbones import FeatureProvider, load_backbone
from likewise.episodes.classification.benchmark import ClassBenchmark
from likewise.episodes.classification.opening import open_classes
from likewise.episodes.classification.splits import Part
from likewise.formats.files import json_bytes, write_atomic
from likewise.functional.intervals import mean_interval
from likewise.functional.prototypes import cosine_scores, distance_scores
from likewise.methods.classifiers.reading import backbone_wish, centred
from likewise.methods.classifiers.zero_shot_training import zero_shot_trainable
from likewise.training.loop import train
from likewise.training.recipe import read_recipe
from likewise.training.zero_shot import PartFeatures, mean_by_class, part_features
from marks import between_marks

OUT, PAGE, MARK = BENCH / "zero_shot", DOCS / "methods" / "zero_shot.md", "zero-shot"
RECIPES = ROOT / "recipes" / "classifiers"
VECTORS = RECIPES / "caltech_attributes.csv"
METHODS = ("zero-shot-prototypical", "zero-shot-relation")
KEPT = 15  # pictures of a training class that train
WAYS, QUERIES, EPISODES = 5, 15, 300
DECAYS = tuple(10.0**power for power in range(-4, 3))  # of the ridge, chosen on the validation classes
COLUMNS = ("12 classes", "5 of them", "seen", "unseen", "harmonic mean")

Scores = Callable[[Tensor, Tensor], Tensor]  # of features (B, F) and class vectors (N, A): (B, N)


class Parts(NamedTuple):
    """Features of all pictures: those that train, others of the same classes, and those of other classes."""

    train: PartFeatures
    held: PartFeatures
    val: PartFeatures
    test: PartFeatures


def sorted_out() -> Path:
    """The pictures as folders train, val, test and, apart, held; made once."""
    root = OUT / "data"
    if (root / "done").is_file():
        return root
    split = open_classes(str(DATA / "caltech_mini"))
    for part in ("train", "val", "test"):
        items = split.part(part)
        for name, row in zip(items.names, items.items, strict=True):
            for place, item in enumerate(row):
                assert isinstance(item.place, Path)
                folder = root / ("held" if part == "train" and place >= KEPT else f"all/{part}") / name
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(item.place, folder / item.place.name)
    (root / "done").touch()
    return root


@cache
def parts() -> Parts:
    """Features of the default backbone."""
    root, spec = sorted_out(), backbone_wish(0)
    provider = FeatureProvider(load_backbone(weights.resolve("auto")), cache=weights.cache_folder() / "openvino", features=weights.cache_folder() / "features")
    pictures, held = open_classes(f"classes:{root / 'all'}"), open_classes(f"classes:{root / 'held'}")

    def of(benchmark: ClassBenchmark, part: Part) -> PartFeatures:
        return part_features(benchmark, benchmark.part(part), VECTORS, provider, spec)

    return Parts(of(pictures, "train"), of(held, "test"), of(pictures, "val"), of(pictures, "test"))


def figures(scores: Scores) -> dict[str, float]:
    """Accuracy in percent of each column, the mean over classes, and over episodes where classes are drawn."""
    all_parts = parts()
    test, held = all_parts.test, all_parts.held
    among = torch.cat([all_parts.train.vectors, test.vectors])
    seen = mean_by_class(scores(held.features, among).argmax(dim=1), held.labels)
    unseen = mean_by_class(scores(test.features, among).argmax(dim=1) - len(all_parts.train.vectors), test.labels)
    drawn = [episode(scores, seed) for seed in range(EPISODES)]
    whole = mean_by_class(scores(test.features, test.vectors).argmax(dim=1), test.labels)
    return dict(zip(COLUMNS, (whole, mean_interval(drawn).mean, seen, unseen, harmonic(seen, unseen)), strict=True))


def episode(scores: Scores, seed: int) -> float:
    """Accuracy in percent on some pictures of some test classes."""
    test, random = parts().test, np.random.default_rng(seed)
    classes = random.permutation(len(test.vectors))[:WAYS]
    rows = np.concatenate([random.permutation(np.flatnonzero(test.labels.numpy() == place))[:QUERIES] for place in classes])
    said = scores(test.features[rows], test.vectors[classes]).argmax(dim=1)
    return 100 * float((said == torch.arange(WAYS).repeat_interleave(QUERIES)).float().mean())


def harmonic(one: float, other: float) -> float:
    """The harmonic mean."""
    return 2 * one * other / (one + other) if one + other else 0.0


def ridge(decay: float) -> Scores:
    """The closed form: attributes by ridge regression from features, the class whose vector has the largest cosine with them, both without the training mean.

    Each training class counts alike. After Lampert et al. 2009 and Romera-Paredes and Torr 2015, simpler than either.
    """
    base = parts().train
    centre, middle = base.features.mean(dim=0), base.vectors.mean(dim=0)
    rows, wanted = centred(base.features, centre), (base.vectors - middle)[base.labels]
    map_to = torch.linalg.solve(rows.T @ rows + decay * torch.eye(rows.shape[1]), rows.T @ wanted)
    return lambda features, vectors: cosine_scores(centred(features, centre) @ map_to, vectors - middle)


def closed_form() -> tuple[Scores, float]:
    """The ridge that is best on the validation classes, and its decay."""
    val = parts().val
    found = {decay: mean_by_class(ridge(decay)(val.features, val.vectors).argmax(dim=1), val.labels) for decay in DECAYS}
    best = max(found, key=lambda decay: found[decay])
    return ridge(best), best


def trained(method: str, seed: int) -> Scores:
    """A network trained by its recipe with another seed, on the pictures that are kept for it."""
    place = OUT / "runs" / f"{method}-{seed}"
    changes = [f"data.caltech=classes:{sorted_out() / 'all'}", f"classes.vectors={VECTORS}", f"seed={seed}"]
    outcome = train(read_recipe(RECIPES / f"{method}-caltech.toml", changes), place)
    tensors, _ = weights.read_checkpoint(outcome.checkpoint)
    sizes = {"width": len(tensors["network.image.weight"])} if method == METHODS[0] else _hidden(tensors)
    opened = zero_shot_trainable(method, sizes, tensors["centre"], parts().test.vectors.shape[1], start=tensors)

    def scores(features: Tensor, vectors: Tensor) -> Tensor:
        with torch.no_grad():
            return opened.scores(features, vectors)

    return scores


def _hidden(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    return {"hidden": len(tensors["network.attribute.fc1.weight"]), "related": len(tensors["network.relation.fc1.weight"])}


def few_shot(shots: int) -> dict[str, float]:
    """Nearest class means of so many images a class on the same features, no vectors: the mean over draws, of the first two columns."""
    test, whole, some = parts().test, [], []
    for seed in range(EPISODES):
        random = np.random.default_rng(seed)
        orders = [random.permutation(np.flatnonzero(test.labels.numpy() == place)) for place in range(len(test.vectors))]
        for ways, into in ((len(orders), whole), (WAYS, some)):
            chosen = [orders[place] for place in random.permutation(len(orders))[:ways]]
            support = test.features[np.concatenate([order[:shots] for order in chosen])]
            query = test.features[np.concatenate([order[shots : shots + QUERIES] for order in chosen])]
            centre = support.mean(dim=0)
            means = centred(support, centre).unflatten(0, (ways, shots)).mean(dim=1)
            said = distance_scores(centred(query, centre), means).argmax(dim=1)
            into.append(100 * float((said == torch.arange(ways).repeat_interleave(QUERIES)).float().mean()))
    return {COLUMNS[0]: float(np.mean(whole)), COLUMNS[1]: float(np.mean(some))}


def chance() -> dict[str, float]:
    """What guessing gives."""
    counts = len(parts().test.vectors), WAYS, len(parts().train.vectors) + len(parts().test.vectors)
    return {COLUMNS[0]: 100 / counts[0], COLUMNS[1]: 100 / counts[1]} | dict.fromkeys(COLUMNS[2:], 100 / counts[2])


def shuffled(scores: Scores, seed: int) -> Scores:
    """The same with the vectors of classes given to others: what is left when attributes say nothing."""

    def wrong(features: Tensor, vectors: Tensor) -> Tensor:
        order = torch.from_numpy(np.random.default_rng([seed, len(vectors)]).permutation(len(vectors)))
        return scores(features, one_hot(order, len(vectors)).to(vectors) @ vectors)

    return wrong


def measure(seeds: Sequence[int]) -> None:
    """Fill what is not there yet."""
    closed, decay = closed_form()
    note("chance", chance(), "guessing")
    note("ridge", figures(closed), f"ridge to attributes, cosine with the class vectors, closed form (decay {decay:g}, chosen on the validation classes)")
    note("ridge-shuffled", figures(shuffled(closed, 0)), "the same, vectors given to other classes")
    for method in METHODS:
        for seed in seeds:
            note(f"{method}-{seed}", figures(trained(method, seed)), f"`{method}`, trained")
    for shots in (1, 5):
        note(f"shots-{shots}", few_shot(shots), f"no vectors: nearest mean of {shots} image{'s' * (shots > 1)} a class")


def note(name: str, found: Mapping[str, float], title: str) -> None:
    """Keep the figures of a row, or of one seed of it."""
    write_atomic(OUT / "figures" / f"{name}.json", json_bytes({"title": title, **found}))
    print(f"{name}: {', '.join(f'{column} {value:.1f}' for column, value in found.items())}", flush=True)


def table() -> list[str]:
    """The table in Markdown: of several seeds the mean, and the least and the largest."""
    notes = {path.stem: json.loads(path.read_bytes()) for path in sorted((OUT / "figures").glob("*.json"))}
    groups = [
        ["chance"],
        ["ridge"],
        ["ridge-shuffled"],
        *([name for name in notes if name.startswith(f"{method}-")] for method in METHODS),
        ["shots-1"],
        ["shots-5"],
    ]
    lines = ["", f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for group in groups:
        rows = [notes[name] for name in group if name in notes]
        if rows:
            title = rows[0]["title"] + (f", {len(rows)} seeds" if len(rows) > 1 else "")
            lines.append(f"| {title} | {' | '.join(_cell([row[column] for row in rows if column in row]) for column in COLUMNS)} |")
    return [*lines, "", "`python benchmarks/zero_shot.py`", ""]


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def main() -> None:
    """Measure what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--page", action="store_true", help="write the page of what is there, measure nothing")
    asked = parser.parse_args()
    need_shared()
    torch.set_num_threads(1)
    if not asked.page:
        measure(asked.seeds)
    if PAGE.is_file():
        between_marks(PAGE, MARK, table())


if __name__ == "__main__":
    main()
