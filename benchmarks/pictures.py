"""The picture of the README: one support picture of `nuclei` with its labels, and the median query with answer and truth.

    python benchmarks/pictures.py

`nuclei` is BBBC038 (CC0), so the picture may be committed. The query is chosen by rule: the median by IoU of the
queries, not the prettiest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import likewise
from likewise import formats
from likewise.data.images import read_image
from likewise.data.prediction import draw_labels

ROOT = Path(__file__).parents[1]
NUCLEI = ROOT.parent / "shared" / "data" / "nuclei"
HEIGHT, GAP = 256, 6


def panel(pixels: np.ndarray) -> Image.Image:
    """A picture at the common height."""
    image = Image.fromarray(pixels)
    return image.resize((round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    """Write docs/images/nuclei.jpg."""
    if not NUCLEI.exists():
        sys.exit("../shared is not here: nothing to show")
    support = formats.read_support(NUCLEI).support
    task = likewise.learn(support)
    truth = formats.read_truth(NUCLEI)
    rows = []
    for entry in formats.list_images(NUCLEI).entries:
        answer = task.predict(entry.path)
        labels = truth.labels(entry.name, size=answer.size)
        expected = labels.mask(1)
        iou = (answer.mask(1) & expected).sum() / max(1, (answer.mask(1) | expected).sum())
        rows.append((iou, entry.name, read_image(entry.path), answer.labels, expected.astype(np.uint8)))
    iou, name, pixels, labels, expected = sorted(rows, key=lambda row: row[:2])[len(rows) // 2]
    kind = name.split("_0")[0]
    shown = next((example for example in support.examples if example.name.startswith(kind)), support.examples[0])
    panels = [draw_labels(read_image(shown.image), shown.labels.label_map), pixels, draw_labels(pixels, labels), draw_labels(pixels, expected)]
    images = [panel(one) for one in panels]
    sheet = Image.new("RGB", (sum(image.width for image in images) + GAP * (len(images) - 1), HEIGHT), "white")
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + GAP
    target = ROOT / "docs" / "images" / "nuclei.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target, quality=85)
    print(f"{target.relative_to(ROOT)}: {name}, IoU {iou:.2f}, the median of {len(rows)} queries; beside {shown.name}")


if __name__ == "__main__":
    main()
