"""A small real task: random weights, so its labels mean little, but they are exact."""

from __future__ import annotations

import pytest
import torch
from small_runs import CLASSES, COUNT, draw, write_images

import likewise
from likewise.labelling import label_folder


@pytest.fixture(scope="session")
def task():
    torch.set_num_threads(1)
    shapes = [draw(seed, (56, 84)) for seed in (0, 1, 3)]
    examples = [likewise.Example(pixels, name=f"example {index}", label_map=labels) for index, (pixels, labels) in enumerate(shapes)]
    support = likewise.Support(examples, classes=CLASSES)
    return likewise.learn(support, method="prototype", backbone="random:vit-tiny-14", device="cpu", engine="torch", precision="float32", side=84)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "images", COUNT)


@pytest.fixture(scope="session")
def undisturbed(task, images, tmp_path_factory):
    """A run that nothing disturbed: its folder and its summary."""
    out = tmp_path_factory.mktemp("undisturbed") / "labels"
    return out, label_folder(task, images, out)
