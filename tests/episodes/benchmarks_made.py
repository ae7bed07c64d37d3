"""Small benchmarks that tests make: coloured rectangles on noise, each class its own colour."""

import json

import numpy as np
from PIL import Image

COLOURS = {1: (230, 40, 40), 2: (40, 230, 40), 3: (40, 40, 230), 4: (230, 230, 40)}


def picture(seed, shown, size=(40, 56)):
    """An image (H, W, 3) and its labels (H, W); shown: {class: (top, left)} of a square of 14 pixels."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 120, (*size, 3), np.uint8)
    labels = np.zeros(size, np.uint8)
    for number, (top, left) in shown.items():
        labels[top : top + 14, left : left + 14] = number
        pixels[top : top + 14, left : left + 14] = COLOURS[number]
    return pixels, labels


def write_pair(image, mask, pixels, labels):
    for path, array in ((image, pixels), (mask, labels)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)


def labelled_folder(folder, counts, extra=None, **about):
    """A folder of index masks: counts {class: images}; extra {name: {class: place}}; about goes to dataset.json."""
    shown = {f"c{number}-{index}": {number: (4 + index, 5 + 3 * index)} for number, count in counts.items() for index in range(count)}
    for seed, (name, places) in enumerate((shown | (extra or {})).items()):
        pixels, labels = picture(seed, places, (40 + seed, 57))
        write_pair(folder / "images" / f"{name}.png", folder / "masks" / f"{name}.png", pixels, labels)
    facts = {"classes": {str(number): f"class-{number}" for number in counts}, "ignore": 255, **about}
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def pascal_folder(folder, classes=(1, 2, 3, 4, 5), images=4):
    """VOC's folders with own lists of fold 0: `images` a class, of which each shows its class alone."""
    for split in ("trn", "val"):
        (folder / split).mkdir(parents=True)
    lines = []
    for number in classes:
        for index in range(images):
            name = f"2007_{100 * number + index:06d}"
            pixels, labels = picture(100 * number + index, {1: (3 + index, 4 + number)}, (38, 52 + index))
            write_pair(folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClassAug" / f"{name}.png", pixels, labels * np.uint8(number))
            lines.append(f"{name}__{number:02d}")
    (folder / "val" / "fold0.txt").write_text("\n".join(lines))
    return folder
