"""What the parts of Label Anything are worth when a small one is trained: short runs of equal length, scored on unseen classes.

    python benchmarks/label_anything_training.py [--episodes 250] [--seeds 0 1] [--side 280] [--only NAME ...]
    python benchmarks/label_anything_training.py --checkpoint FILE [--sets objects subjects ...] [--shots 1] [--draws 1]

Each variant is recipes/label_anything/small.toml at a smaller size with one thing changed. Scores: mIoU in percent of prompted episodes of
the things among the validation classes of classes_train, 1 shot, queries joined of two to four pictures half of the time, counts
pooled over all episodes by class; the same episodes for all. One JSON a run, bench/label_anything_training/NAME-SEED.json.

With a checkpoint: the rows of prompts.py (fixed draws, a person's prompts) for it, in bench/label_anything_training/CHECKPOINT-KIND/.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import likewise
import prompts as person
from common import BENCH, DATA, ROOT, Cell, cells, classes, meta, need_shared, read_json, score, write_json
from likewise.episodes.opening import open_benchmark
from likewise.functional.resize import resize_grid
from likewise.methods.trainable import PromptTrainable
from likewise.training.loop import LAST, train
from likewise.training.preparing import prepare
from likewise.training.prompted import UNKNOWN, PromptedDraws, PromptedFeatures
from likewise.training.recipe import Recipe, read_recipe
from likewise.training.sources import EpisodeFeatures
from likewise.training.watching import Console, Silent
from likewise.weights import read_checkpoint

OUT = BENCH / "label_anything_training"
RECIPE = ROOT / "recipes" / "label_anything" / "small.toml"
SMALL = ["method.width=32", "method.heads=4", "method.hidden=64", "source.2.share=1e-9", "validation.episodes=1"]
VARIANTS: dict[str, list[str]] = {
    "plain": [],
    "no-spatial": ["method.spatial=0"],
    "pool": ["method.pool=24"],
    "mixer": ["method.mixers=['class_example_attention']"],
    "pool-mixer": ["method.pool=24", "method.mixers=['class_example_attention']"],
    "masks-only": ["prompts.kinds=['mask']"],
    "unjoined": ["prompts.joined=0.0", "prompts.joined_support=0.0"],
    "unweighted": ["method.weighted=false"],
    "alike": ["method.begin=alike"],
}
KINDS = {"mask": "mask", "box": "bbox", "point": "point"}
WAYS = (1, 2, 4)
ASKED = 40  # episodes of each kind and number of ways


def recipe_of(changes: Sequence[str]) -> Recipe:
    """The small recipe with changes, its data where it lies here."""
    folder = os.environ.get("LIKEWISE_FEATURES", str(BENCH / "features"))
    data = [f"data.classes={DATA / 'classes_train'}", f"data.salient=views:{DATA / 'salient_train'}", f"backbone.folder={folder}"]
    return read_recipe(RECIPE, [*data, *changes])


def evaluation(changes: Sequence[str], kind: str, ways: int) -> Recipe:
    """A recipe of the episodes of an evaluation: things that were not trained, prompts of one kind."""
    dataset = meta("classes_train")
    things = [name for name in dataset["split"]["val"] if dataset["class_kind"][name] == "thing"]
    episodes = [f"prompts.batches=[[1,{ways},1]]", f"prompts.kinds=['{KINDS[kind]}']", "prompts.joined=0.5", "prompts.joined_support=0.0"]
    source = ["source.0.part=val", f"source.0.classes={things}", "source.1.share=1e-9", "source.2.share=1e-9"]
    return recipe_of([*changes, *episodes, "prompts.noisy=false", "prompts.mirrored=0.0", "seed=77", *source])


def scored(trainable: PromptTrainable, features: EpisodeFeatures, changes: Sequence[str], episodes: int = ASKED) -> dict[str, float]:
    """The mIoU of a head by "KIND-WAYS"."""
    found = {}
    benchmarks = {name: open_benchmark(text) for name, text in recipe_of(changes).data.items()}
    for kind in KINDS:
        for ways in WAYS:
            both, either = np.zeros(256), np.zeros(256)
            recipe = evaluation(changes, kind, ways)
            assert recipe.prompts is not None
            draws = PromptedDraws(recipe, benchmarks)
            made = PromptedFeatures(features, recipe.prompts)
            for index in range(episodes):
                _count(trainable, made(draws[index], torch.device("cpu")), both, either)
            found[f"{kind}-{ways}"] = 100 * float((both / either.clip(1))[either > 0].mean())
    return found


def _count(trainable: PromptTrainable, batch: Any, both: np.ndarray, either: np.ndarray) -> None:
    """Add an episode's pixels to those of every class."""
    (episode,) = batch.episodes
    with torch.no_grad():
        answer = resize_grid(trainable.logits(batch), (episode.truth.shape[0], episode.truth.shape[1]))[0].argmax(dim=0)
    known = episode.truth != UNKNOWN
    for place, number in enumerate(episode.numbers, start=1):
        mine, own = (answer == place) & known, episode.truth == place
        both[number] += int((mine & own).sum())
        either[number] += int((mine | own).sum())


def ablation(name: str, seed: int, episodes: int, side: int) -> None:
    """Train a variant and score it, unless that was done."""
    path = OUT / f"{name}-{seed}.json"
    changes = [*SMALL, f"method.side={side}", f"method.loss_side={side // 4}", *VARIANTS[name], f"seed={seed}", f"episodes={episodes}"]
    if read_json(path) is not None:
        return
    started = time.process_time()
    recipe = recipe_of(changes)
    outcome = train(recipe, OUT / f"{name}-{seed}", anew=True, watcher=Console())
    trained = time.process_time() - started
    tensors, _ = read_checkpoint(OUT / f"{name}-{seed}" / LAST)
    ready = prepare(recipe, torch.device("cpu"), Silent())
    with torch.no_grad():
        for key, tensor in ready.trainable.checkpoint().items():
            tensor.copy_(tensors[key])
    scores = scored(ready.trainable, EpisodeFeatures(ready.provider, ready.trainable.wants()), changes)
    write_json(path, {"losses": outcome.losses, "seconds": trained, **scores})
    print(name, seed, f"{trained:.0f} s", {key: round(value, 1) for key, value in scores.items()}, flush=True)


def row(checkpoint: Path, kind: str, cell: Cell) -> None:
    """A row of prompts.py for a checkpoint, unless it is there."""
    path = OUT / f"{checkpoint.parent.name}-{checkpoint.stem}-{kind}" / cell.place
    if read_json(path) is not None:
        return

    def learn(support: likewise.Support) -> likewise.Task:
        return likewise.learn(person.with_prompts(support, kind, cell.draw), method="label-anything", checkpoint=checkpoint)

    made = score().semantic(DATA / cell.set, classes(cell.set), list(cell.support), list(cell.query), learn)
    write_json(path, {"kind": kind, "set": cell.set, "shots": cell.shots, "draw": cell.draw, **made})
    print(kind, cell.place.with_suffix(""), f"{made['miou']:.1f}", flush=True)


def main() -> None:
    """Measure what was not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=250)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--side", type=int, default=280)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--kinds", nargs="*", default=["mask", "box", "point1", "point3"], choices=list(person.KINDS))
    parser.add_argument("--sets", nargs="*", default=["objects", "subjects", "landmark"])
    parser.add_argument("--shots", nargs="*", default=["1"])
    parser.add_argument("--draws", type=int, default=1)
    arguments = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    if arguments.checkpoint is not None:
        for cell in cells(arguments.sets, arguments.shots, arguments.draws):
            for kind in arguments.kinds:
                row(arguments.checkpoint, kind, cell)
        return
    for seed in arguments.seeds:
        for name in arguments.only:
            ablation(name, seed, arguments.episodes, arguments.side)


if __name__ == "__main__":
    main()
