"""What points, boxes, scribbles and tags are worth beside masks: mIoU on new images, by `../shared/tools/score.py` unchanged.

    python benchmarks/prompts.py [--only METHOD-PRESET ...] [--kinds KIND ...] [--shots 1 2 5] [--sets NAME ...] [--draws 3]

The masks of the fixed draws are turned into prompts by `episodes.prompting`, seeded by the draw; every kind and method sees the
same images. One JSON a row, bench/prompts/METHOD-PRESET-KIND/SHOTS/SET/DRAW.json. For `analogy` also what `Task.refine` makes of
the prompts, against the masks that they were made from. A row that is there is not made again unless other code made it
(`--stale keep` leaves it). `tables_prompts.py` puts the tables into docs/methods/labels.md.
"""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import likewise
from accuracy import OURS, Variant, arguments_of
from common import BENCH, DATA, IGNORE, Cell, cells, classes, need_shared, read_json, score, truth, write_json
from likewise.episodes import prompting
from likewise.episodes.prompting import PromptKind, prompted
from provenance import code_key

OUT = BENCH / "prompts"
KINDS: dict[str, tuple[PromptKind, int]] = {  # what the simulator is asked for, and points of each class
    "mask": ("mask", 0),
    "box": ("box", 0),
    "scribble": ("scribble", 0),
    "point1": ("point", 1),
    "point3": ("point", 3),
    "point5": ("point", 5),
    "tag": ("tag", 0),
}
ASKED = {"objects": ("1", "2"), "subjects": ("1", "2"), "landmark": ("1", "2"), "nuclei": ("2", "5"), "crops": ("2", "5")}
VARIANTS = {
    variant.folder: variant for variant in (Variant(OURS, "fast"), Variant(OURS, "default"), Variant("prototype", "default"), Variant("ridge", "default"))
}


def with_prompts(support: likewise.Support, kind: str, seed: int) -> likewise.Support:
    """The same examples with prompts of a kind in place of their masks."""
    random, (asked, points) = np.random.default_rng(seed), KINDS[kind]
    examples = []
    for example in support.examples:
        assert example.image is not None
        assert example.labels.label_map is not None
        plain = likewise.Example(example.image, example.name, label_map=example.labels.label_map)
        examples.append(prompted(plain, example.labels, support.classes, asked, random, points=points))
    return likewise.Support(examples, classes=dict(support.classes.names))


def measure(variant: Variant, kind: str, cell: Cell) -> dict[str, Any]:
    """A row: scores of new images, and of the masks that the prompts were turned into."""
    learned: list[likewise.Task] = []

    def learn(support: likewise.Support) -> likewise.Task:
        learned.append(likewise.learn(with_prompts(support, kind, cell.draw), method=variant.method, preset=variant.preset))
        return learned[-1]

    scores = score().semantic(DATA / cell.set, classes(cell.set), list(cell.support), list(cell.query), learn)
    (task,) = learned
    return {
        **{"method": variant.method, "preset": variant.preset, "kind": kind, "set": cell.set, "shots": cell.shots, "draw": cell.draw},
        **scores,
        **{"refined": refined(task, cell) if variant.method == OURS and kind != "mask" else {}},
        **{"side": task.memory.facts.get("side", getattr(task.method.settings, "side", None))},
        **{"weights": task.weights["backbone"], "code": code_of(variant)},
    }


def refined(task: likewise.Task, cell: Cell) -> dict[str, float]:
    """How the masks of the examples that prompts became agree with the true ones: percent, pixels pooled, means over classes."""
    both, ours, theirs = (np.zeros(IGNORE + 1) for _ in range(3))
    for example in task.support.examples:
        found, right = task.refined_map(example), truth(cell.set, example.name)
        if found is None:
            found = np.zeros(right.shape, np.int16)  # no class in it, and nothing else said of it
        for number in task.classes:
            mine, own = (found == number) & (right != IGNORE), right == number
            both[number], ours[number], theirs[number] = both[number] + (mine & own).sum(), ours[number] + mine.sum(), theirs[number] + own.sum()
    seen = theirs > 0
    shares = {"iou": both / (ours + theirs - both).clip(1), "precision": both / ours.clip(1), "recall": both / theirs.clip(1)}
    return {name: 100 * float(values[seen].mean()) for name, values in shares.items()}


def code_of(variant: Variant) -> str:
    """Which code made a row: of the method and of what stands for a person."""
    return hashlib.sha256(code_key(variant.method).encode() + Path(prompting.__file__).read_bytes()).hexdigest()


def row(variant: Variant, kind: str, cell: Cell, keep_stale: bool) -> None:
    """Make a row unless it is there."""
    path = OUT / f"{variant.folder}-{kind}" / cell.place
    kept = read_json(path)
    if kept is None or (kept["code"] != code_of(variant) and not keep_stale):
        made = measure(variant, kind, cell)
        print(f"{variant.folder}-{kind}/{cell.place.with_suffix('')} {made['miou']:.1f}", flush=True)
        write_json(path, made)


def main() -> None:
    """Measure what was not measured yet; what fails is told at the end and the rest goes on."""
    parser = arguments_of(__doc__)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.set_defaults(draws=3, sets=list(ASKED))
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    failed = []
    index, count = arguments.shard
    wanted = [cell for cell in cells(arguments.sets, arguments.shots, arguments.draws) if cell.shots in ASKED.get(cell.set, arguments.shots)]
    for cell in wanted[index - 1 :: count]:
        for name in arguments.only:
            for kind in arguments.kinds:
                try:
                    row(VARIANTS[name], kind, cell, arguments.stale == "keep")
                except Exception:  # the other rows go on; the exit status tells
                    traceback.print_exc()
                    failed.append(f"{name}-{kind}/{cell.place}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
