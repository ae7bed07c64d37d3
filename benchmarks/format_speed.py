"""How long each format takes to write the labels of one street scene, and how much it is.

    python benchmarks/format_speed.py [--page]

A label map of `camvid` at 640 x 480 with its eleven classes; the median of 15. The table stands in docs/formats/README.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from common import DATA, DOCS, need_shared
from likewise.data import Prediction
from likewise.formats import read_support
from likewise.formats.sheet import of_prediction
from likewise.formats.writing import ENCODERS
from marks import between_marks

PAGE, MARK = DOCS / "formats" / "README.md", "format speed"
SIZE, TIMES = (640, 480), 15


def street() -> Prediction:
    """The true labels of a street scene, as a task would answer."""
    support = read_support(DATA / "camvid", split="support").support
    example = support.examples[0]
    assert example.labels.label_map is not None
    labels = Image.fromarray(np.maximum(example.labels.label_map, 0).astype(np.uint8)).resize(SIZE, Image.Resampling.NEAREST)
    return Prediction(support.classes, {}, np.asarray(labels), {}, {}, 0.5, image=example.image)


def table() -> Iterator[str]:
    """A line for each format: milliseconds to make the content of its files, and kilobytes."""
    yield "| 640 x 480, 11 classes | time | size |"
    yield "|---|---|---|"
    prediction = street()
    for name, encoder in ENCODERS.items():
        seconds = []
        for _ in range(TIMES):
            start = time.perf_counter()
            files = encoder.encode("a", of_prediction("a.png", prediction))
            seconds.append(time.perf_counter() - start)
        yield f"| `{name}` | {1000 * statistics.median(seconds):.1f} ms | {sum(map(len, files.values())) / 1000:.1f} kB |"


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="also write the table into its page")
    arguments = parser.parse_args()
    need_shared()
    lines = list(table())
    print("\n".join(lines))
    if arguments.page:
        between_marks(PAGE, MARK, lines)


if __name__ == "__main__":
    main()
