"""The five images that `suggest` names first, above five drawn at random, with their labels, which neither of them saw.

    python benchmarks/suggesting_pictures.py [--sets nuclei subjects ...]

The parts and the first random draw are those of `suggesting.py`. Writes docs/images/suggested_NAME.jpg of sets whose licence allows it, `nuclei` and
`subjects`; others into bench/suggesting/pictures (ignored). What each part gained is in the rows of `suggesting.py`.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import BENCH, DOCS, need_shared, picture, semantic_sets, truth
from likewise.data.images import read_image
from likewise.data.prediction import draw_labels
from likewise.task.learning import Place, make_method, open_provider
from sheets import sheet
from suggesting import Run

COUNT = 5
ALLOWED = ("nuclei", "subjects")


def labelled(name: str, image: str) -> NDArray[np.uint8]:
    """A picture with its true labels drawn on it, at most 300 pixels high; what is to be ignored stays as it is."""
    labels = truth(name, image)
    pixels = draw_labels(read_image(picture(name, image)), np.where(labels == 255, 0, labels).astype(np.int16))
    step = max(1, pixels.shape[0] // 300)
    return np.ascontiguousarray(pixels[::step, ::step])


def draw(name: str, cache: Path) -> None:
    """The sheet of a set; the names are printed."""
    run = Run(name, 0, "ridge", cache)
    provider = open_provider("auto", Place.of("auto", "auto", "auto", cache), make_method("prototype", "default", {}))
    chosen = run.choose(provider, COUNT)
    rows: Sequence[Sequence[str]] = (chosen, run.at_random(COUNT, 0))
    for word, names in zip(("suggested", "at random"), rows, strict=True):
        print(f"{name}, {word}: {', '.join(names)}")
    folder = DOCS / "images" if name in ALLOWED else BENCH / "suggesting" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f"suggested_{name}.jpg" if name in ALLOWED else f"{name}.jpg")
    sheet([[labelled(name, one) for one in names] for names in rows]).save(path, quality=80)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(ALLOWED), choices=semantic_sets())
    told = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    for name in told.sets:
        draw(name, Path(os.environ.get("LIKEWISE_FEATURES", BENCH / "features")))


if __name__ == "__main__":
    main()
