"""A small set of classes as a folder, and a recipe that trains on it within seconds."""

import json

import numpy as np
import pytest
from PIL import Image

CLASSES = ["red", "green", "blue", "grey", "brown"]
COLOURS = [(220, 40, 40), (40, 200, 60), (50, 70, 230), (150, 150, 150), (140, 90, 40)]
RECIPE = """
seed = 3
episodes = 40
batch = 4
save = 8
[method]
name = "cst"
side = 56
[backbone]
name = "random:vit-tiny-14"
features = "compute"
engine = "torch"
precision = "float32"
[data]
shapes = {folder}
views = {views}
[[source]]
data = "shapes"
share = 2
[[source]]
data = "views"
[validation]
data = "shapes"
every = 20
episodes = 6
"""


@pytest.fixture
def shapes(tmp_path):
    """Four pictures of each of five classes, a rectangle each; three classes train, two validate."""
    folder = tmp_path / "shapes"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number, (name, colour) in enumerate(zip(CLASSES, COLOURS, strict=True), start=1):
        for copy in range(4):
            random = np.random.default_rng([number, copy])
            pixels = random.integers(0, 70, (40 + 2 * copy, 53 + number, 3), np.uint8)
            mask = np.zeros(pixels.shape[:2], np.uint8)
            top, left = random.integers(2, 14, 2)
            mask[top : top + 20, left : left + 25] = number
            pixels[mask == number] = colour
            mask[-2:] = 255
            Image.fromarray(pixels).save(folder / "images" / f"{name}_{copy}.png")
            Image.fromarray(mask).save(folder / "masks" / f"{name}_{copy}.png")
    content = {"classes": {str(n): name for n, name in enumerate(CLASSES, start=1)}, "ignore": 255, "split": {"train": CLASSES[:3], "val": CLASSES[3:]}}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def loose(tmp_path):
    """Three pictures with a mask of what stands out, and no class."""
    folder = tmp_path / "loose"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for copy in range(3):
        pixels = np.random.default_rng(copy).integers(0, 90, (45, 50 + copy, 3), np.uint8)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        mask[10:30, 8 + copy : 33] = 1
        pixels[mask == 1] = 200 - 20 * copy
        Image.fromarray(pixels).save(folder / "images" / f"thing_{copy}.png")
        Image.fromarray(mask).save(folder / "masks" / f"thing_{copy}.png")
    content = {"classes": {"1": "object"}, "split": {"train": [f"thing_{copy}" for copy in range(3)]}}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def recipe_file(tmp_path, shapes, loose):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE.format(folder=json.dumps(str(shapes)), views=json.dumps(f"views:{loose}")))
    return path
