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


def instances_folder(folder, images=10, classes=8, small=()):
    """COCO's folders with objects of its own: image i shows class i % classes + 1 large and the next one, small in the images that say so.

    Sizes differ; classes have the ids 10, 20, ... so that numbers and ids are told apart.
    """
    (folder / "annotations").mkdir(parents=True)
    (folder / "val2017").mkdir()
    listed, objects = [], []
    for index in range(images):
        height, width = 110 + index, 131 + 2 * index
        pixels = np.random.default_rng(index).integers(0, 120, (height, width, 3), np.uint8)
        listed.append({"id": 500 + index, "height": height, "width": width, "file_name": f"COCO_val2014_{500 + index:012d}.jpg"})
        first, second = index % classes, (index + classes // 2) % classes
        side = 20 if index in small else 52
        for place, (number, x, y, length) in enumerate(((first, 4, 6, 60), (second, 50, 40, side))):
            corners = [x, y, x + length, y, x + length, y + length, x, y + length]
            objects.append(
                {"id": 10 * index + place, "image_id": 500 + index, "category_id": 10 * (number + 1), "iscrowd": 0, "area": float(length**2)}
                | {"bbox": [x, y, length, length], "segmentation": [corners]}
            )
            pixels[y : y + length, x : x + length] = COLOURS[number % 4 + 1]
        Image.fromarray(pixels).save(folder / "val2017" / f"{500 + index:012d}.jpg")
    objects.append({**objects[0], "id": 9999, "iscrowd": 1})
    categories = [{"id": 10 * (number + 1), "name": f"thing-{number + 1}"} for number in range(classes)]
    content = {"images": listed, "annotations": objects, "categories": categories}
    (folder / "annotations" / "instances_val2014.json").write_text(json.dumps(content))
    return folder
