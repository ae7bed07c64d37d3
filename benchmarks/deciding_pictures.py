"""What `--max-miss` misses and names in vain, as pictures: a sheet a set and class in bench/deciding/pictures (not part of the repository).

    python benchmarks/deciding_pictures.py [--sets tile_defects steel_defects landmark] [--shots 5] [--max-miss 0.2] [--method analogy] [--preset fast]

Rows of a sheet, each of at most eight pictures, the least sure first, the truth drawn around in white: those that show the class and are named; those that
show it and are missed; those that do not show it and are named. The numbers are printed, with the rule.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import find_boundaries

import likewise
from common import BENCH, Cell, cells, classes, need_shared, picture, shown, truth
from sheets import sheet

OUT = BENCH / "deciding" / "pictures"
MOST = 8


def judged(scores: Mapping[str, float], there: Mapping[str, bool], threshold: float) -> tuple[list[str], list[str], list[str]]:
    """Images by name: named rightly, missed, named in vain; each with the least score first, the last with the highest first."""
    order = sorted(scores, key=lambda name: scores[name])
    right = [name for name in order if there[name] and scores[name] >= threshold]
    missed = [name for name in order if there[name] and scores[name] < threshold]
    return right, missed, [name for name in reversed(order) if not there[name] and scores[name] >= threshold]


def outlined(cell: Cell, name: str, number: int) -> NDArray[np.uint8]:
    """A picture with the outline of what shows a class in white."""
    with Image.open(picture(cell.set, name)) as opened:
        pixels = np.array(opened.convert("RGB"))
    pixels[find_boundaries(truth(cell.set, name) == number, mode="outer")] = 255
    return pixels


def draw(cell: Cell, task: likewise.Task) -> None:
    """The sheets of a task that decides, and their numbers."""
    known = {name: found for name in cell.query if (found := shown(cell.set, name)) is not None}
    present = {name: task.predict(picture(cell.set, name)).present for name in known}
    numbers = {word: number for number, word in classes(cell.set).items()}
    for word, rule in task.rules.items():
        scores = {name: said[word] for name, said in present.items()}
        groups = judged(scores, {name: numbers[word] in found for name, found in known.items()}, rule.threshold)
        print(f"{cell.set}, {word}: {rule.sentence()}")
        for title, names in zip(("named", "missed", "named in vain"), groups, strict=True):
            print(f"    {title}: {len(names)}: {', '.join(f'{name} {scores[name]:.3f}' for name in names[:MOST])}")
        rows = [[outlined(cell, name, numbers[word]) for name in names[:MOST]] for names in groups if names]
        if rows:
            OUT.mkdir(parents=True, exist_ok=True)
            sheet(rows).save(OUT / f"{cell.set}-{word}.png")


def learned(cell: Cell, method: str, preset: str, max_miss: float) -> likewise.Task:
    """The task of a draw, with its rules."""
    examples: Sequence[likewise.Example] = [likewise.Example(picture(cell.set, name), name, label_map=truth(cell.set, name)) for name in cell.support]
    support = likewise.Support(examples, classes=classes(cell.set))
    return likewise.learn(support, method=method, preset="fast" if preset == "fast" else "default", cache=os.environ["LIKEWISE_FEATURES"], max_miss=max_miss)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["tile_defects", "steel_defects", "landmark"])
    parser.add_argument("--shots", default="5")
    parser.add_argument("--max-miss", type=float, default=0.2)
    parser.add_argument("--method", default="analogy")
    parser.add_argument("--preset", default="fast", choices=("fast", "default"))
    told = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    for cell in cells(told.sets, [told.shots], 1):
        draw(cell, learned(cell, told.method, told.preset, told.max_miss))


if __name__ == "__main__":
    main()
