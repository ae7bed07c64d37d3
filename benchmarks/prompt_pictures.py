"""A row a kind of prompt: an example as it was given, the mask that it became, and two new pictures answered.

    python benchmarks/prompt_pictures.py [--preset fast]

Learned from the first fixed draw of a set, every kind in a row of its own; prompts by `episodes.prompting`. What is shown is fixed by rule: the
first example, and the queries at a third and at two thirds of those that show its class. Writes docs/images/prompts_NAME.jpg of sets whose
licence allows it, `subjects` and `nuclei`; others (`--sets`) into bench/prompts/pictures (ignored).
"""

from __future__ import annotations

import argparse
import os
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import likewise
from common import BENCH, DOCS, cells, classes, need_shared, picture, shown, truth
from likewise.data.classes import palette
from likewise.data.images import read_image
from likewise.data.prediction import draw_labels
from likewise.data.support import LabelledImage
from likewise.episodes.prompting import PromptKind, prompted
from sheets import sheet

ROWS: dict[str, tuple[PromptKind, int, int]] = {  # kind, points, negative points
    "mask": ("mask", 0, 0),
    "box": ("box", 0, 0),
    "points": ("point", 3, 2),
    "scribble": ("scribble", 0, 0),
    "tag": ("tag", 0, 0),
}
STORIES = {"subjects": ("1", 0), "nuclei": ("5", 0)}  # images a class, place of the example that is shown
ALLOWED = ("subjects", "nuclei")
Pixels = NDArray[np.uint8]


def drawn(example: LabelledImage, pixels: Pixels, names: dict[int, str]) -> Pixels:
    """An example with its prompts: masks and boxes in the colour of the class, positive points as discs, negative ones as crosses, tags in words."""
    labels, colours = example.labels, palette()
    scale = max(1, round(max(pixels.shape) / 200))
    found = pixels.copy() if labels.label_map is None else draw_labels(pixels, labels.label_map)
    for number, boxes in labels.boxes.items():
        for x0, y0, x1, y1 in boxes.astype(int):
            cv2.rectangle(found, (x0, y0), (x1 - 1, y1 - 1), tuple(int(c) for c in colours[number]), scale)
    for number, lines in labels.scribbles.items():
        for line in lines:
            cv2.polylines(found, [line.astype(np.int32)], isClosed=False, color=tuple(int(c) for c in colours[number]), thickness=2 * scale)
    for number, (positive, negative) in labels.points.items():
        for x, y in positive.astype(int):
            cv2.circle(found, (x, y), 4 * scale, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(found, (x, y), 3 * scale, tuple(int(c) for c in colours[number]), -1, cv2.LINE_AA)
        for x, y in negative.astype(int):
            for way in (1, -1):
                for colour, thickness in (((255, 255, 255), 4 * scale), ((0, 0, 0), 2 * scale)):
                    cv2.line(found, (x - 4 * scale, y - way * 4 * scale), (x + 4 * scale, y + way * 4 * scale), colour, thickness, cv2.LINE_AA)
    said = [f"{names[number]}: yes" for number, there in labels.tags.items() if there]
    for place, words in enumerate(said):
        cv2.putText(found, words, (6 * scale, (place + 1) * 16 * scale), cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, (0, 0, 0), 3 * scale, cv2.LINE_AA)
        cv2.putText(found, words, (6 * scale, (place + 1) * 16 * scale), cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, (255, 255, 255), scale, cv2.LINE_AA)
    return found


def story(name: str, preset: str) -> Image.Image:
    """The sheet of a set."""
    shots, place = STORIES.get(name, ("2", 0))
    (cell,) = cells([name], [shots], 1)
    plain = likewise.Support([likewise.Example(picture(name, image), label_map=truth(name, image)) for image in cell.support], classes=classes(name))
    own = shown(name, cell.support[place]) or frozenset()
    answered = [image for image in cell.query if (shown(name, image) or frozenset()) & own]
    asked = [answered[len(answered) // 3], answered[2 * len(answered) // 3]]
    rows = []
    for kind, points, negative in ROWS.values():
        random = np.random.default_rng(cell.draw)
        given = [
            prompted(likewise.Example(e.image, e.name, label_map=e.labels.label_map), e.labels, plain.classes, kind, random, points=points, negative=negative)
            for e in plain.examples
        ]
        task = likewise.learn(likewise.Support(given, classes=dict(plain.classes.names)), preset=preset)
        example = task.support.examples[place]
        pixels, mask = read_image(example.image), task.refined_map(example)
        answers = [task.predict(picture(name, image)) for image in asked]
        became = pixels if mask is None else draw_labels(pixels, mask)
        kept = draw_labels(pixels, example.labels.label_map) if kind == "mask" else became
        rows.append(
            [drawn(example, pixels, classes(name)), kept, *(draw_labels(read_image(picture(name, i)), a.labels) for i, a in zip(asked, answers, strict=True))]
        )
    return sheet(rows)


def main() -> None:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(STORIES))
    parser.add_argument("--preset", default="fast")
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    for name in arguments.sets:
        folder = DOCS / "images" if name in ALLOWED else BENCH / "prompts" / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        story(name, arguments.preset).save(folder / f"prompts_{name}.jpg", quality=85)
        print(folder / f"prompts_{name}.jpg")


if __name__ == "__main__":
    main()
