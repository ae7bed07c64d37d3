"""What is proposed: the first masks of each source and the best one for a thing, beside the truth.

    python benchmarks/proposal_pictures.py [--masks CHECKPOINT]

The first query of each of four classes of `subjects` and the first of `nuclei`, a row each: the picture; for every source its ten first masks, the later
over the earlier, and the mask that overlaps the truth most; the truth. Writes docs/images/proposals.jpg; with `--masks` that segmenter's masks stand beside
those of regions.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from common import DOCS, meta, need_shared, picture, shown, truth
from likewise.data.classes import palette
from likewise.data.prediction import draw_labels
from likewise.functional.recall import overlaps
from likewise.proposals.opening import open_source
from proposals import Proposer, sized
from sheets import sheet

FIRST, CLASSES = 10, (1, 3, 5, 8)
Pixels = NDArray[np.uint8]


def row(name: str, image: str, number: int, proposers: list[Proposer]) -> list[Pixels]:
    """The pictures of a row."""
    path = picture(name, image)
    pixels, labels = np.asarray(Image.open(path).convert("RGB")), truth(name, image)
    wanted, known = torch.from_numpy(labels == number)[None], torch.from_numpy(labels != 255)
    found = [pixels]
    for proposer in proposers:
        masks = sized(proposer.at(path), labels.shape)
        several = np.zeros(labels.shape, np.uint8)
        for place, mask in enumerate(masks[:FIRST]):
            several[mask] = 1 + place % (len(palette()) - 1)
        best = int(overlaps(torch.from_numpy(masks), wanted, known)[:, 0].argmax())
        found += [draw_labels(pixels, several), draw_labels(pixels, masks[best].astype(np.uint8))]
    return [*found, draw_labels(pixels, (labels == number).astype(np.uint8))]


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", help="a checkpoint of mm-former that was trained here")
    told = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    proposers = [Proposer(open_source(word, count=100, side=448)) for word in ["regions", *([told.masks] if told.masks else [])]]
    asked = [
        ("subjects", next(image for image in meta("subjects")["split"]["query"] if number in (shown("subjects", image) or ())), number) for number in CLASSES
    ]
    asked.append(("nuclei", meta("nuclei")["split"]["query"][0], 1))
    sheet([row(name, image, number, proposers) for name, image, number in asked]).save(DOCS / "images" / "proposals.jpg", quality=85)
    print(DOCS / "images" / "proposals.jpg")


if __name__ == "__main__":
    main()
