"""A row of pictures a target: query, truth, the answers of methods, the mean of the examples; all in the colours of the truth.

    python benchmarks/target_pictures.py [--method METHOD[:KEY=VALUE,...] ...] [--checkpoint FILE] [--shots N] [--only FAMILY ...]

From the first draw of each family of targets.py; the query is the one in the middle of the list. Writes
bench/targets/pictures/NAME.png (ignored), and into docs/images the sheet of the families whose licence allows it:
`subjects` (CC BY 4.0 and Unsplash) and `nuclei` (CC0).
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common import BENCH, DOCS, need_shared
from likewise import Support
from likewise.data.images import read_image
from likewise.data.prediction import draw_points, visible
from matching_pictures import Pixels, coloured, sheet
from target_families import Family, families
from targets import METHODS, OUT, Variant, support_mean, support_of

ALLOWED = ("soft", "saliency", "corners", "density")


def row_of(family: Family, variants: Sequence[Variant], shots: str) -> list[Pixels]:
    """Query, truth, answers, mean."""
    names, queries = family.draws[shots][0]
    support, example = support_of(family, names), family.example(queries[len(queries) // 2])
    pixels = read_image(example.image)
    answers = [variant.learn(support).predict(example.image) for variant in variants]
    answers.append(support_mean(support, answers[0]))
    if example.keypoints:
        known = {name: (float(point[0]), float(point[1])) for name, point in example.keypoints.items() if point is not None}
        return [pixels, draw_points(pixels, known, support.keypoints), *(draw_points(pixels, visible(a.keypoints), support.keypoints) for a in answers)]
    (name,) = support.targets
    truth = example.dense[name]
    return [pixels, _drawn(truth, truth, support, name), *(_drawn(answer.dense[name], truth, support, name) for answer in answers)]


def _drawn(values: NDArray[np.floating], truth: NDArray[np.floating], support: Support, name: str) -> Pixels:
    """A map of one channel in the colours of the truth, directions as red, green and blue from -1 to 1."""
    if support.targets[name].kind == "unit_vector":
        return np.asarray(np.clip((np.nan_to_num(values, nan=-1) + 1) / 2, 0, 1) * 255, np.uint8)
    return coloured(values.reshape(values.shape[:2]), truth.reshape(truth.shape[:2]))


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", default=[METHODS[0]])
    parser.add_argument("--checkpoint")
    parser.add_argument("--shots", default="5")
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    variants = [Variant(asked, arguments.checkpoint) for asked in arguments.method]
    (OUT / "pictures").mkdir(parents=True, exist_ok=True)
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    chosen = {name: family for name, family in families().items() if not arguments.only or name in arguments.only}
    rows = {name: row_of(family, variants, arguments.shots) for name, family in chosen.items()}
    for name, row in rows.items():
        sheet([row]).save(OUT / "pictures" / f"{name}.png")
    if rows.keys() >= set(ALLOWED):
        sheet([rows[name] for name in ALLOWED]).save(DOCS / "images" / "targets.jpg", quality=85)


if __name__ == "__main__":
    main()
