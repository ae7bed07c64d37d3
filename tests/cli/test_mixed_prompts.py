"""The example of docs/methods/labels.md: five photographs with five kinds of labels in, a labelled folder out."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "methods" / "labels.md"
CACHE = os.environ.get("LIKEWISE_CACHE")  # before the tests of commands get one of their own
DOGS = (3, 4)  # class numbers of the set that are dogs
ASKED = ("corgi_3", "retriever_4")
FOUND = {"corgi_1": 0.99, "retriever_1": 0.75, "corgi_2": 0.75, "retriever_2": 0.55, "retriever_3": 0.6}  # mask, box, points, scribble, tag


@pytest.fixture
def weights(request, monkeypatch):
    """The default weights, from the user's cache."""
    if CACHE is None:
        monkeypatch.delenv("LIKEWISE_CACHE")
    else:
        monkeypatch.setenv("LIKEWISE_CACHE", CACHE)
    return request.getfixturevalue("default_weights")


@pytest.fixture
def folders(shared, tmp_path):
    """(examples, images): the photographs that the page's examples.json names, as it stands there, and two others."""
    data = shared / "data" / "subjects"
    (block,) = [text for text in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL) if "corgi_1_dog.png" in text]
    for folder, names in (("examples", [entry["image"] for entry in json.loads(block)["examples"]]), ("images", [f"{name}.jpg" for name in ASKED])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes((data / "images" / name).read_bytes())
    (tmp_path / "examples" / "examples.json").write_text(block)
    Image.fromarray((truth(shared, "corgi_1") == 1).astype(np.uint8) * 255).save(tmp_path / "examples" / "corgi_1_dog.png")
    return tmp_path / "examples", tmp_path / "images"


def truth(shared, name):
    """1 dog, 0 not, 255 ignore: (H, W)."""
    values = np.asarray(Image.open(shared / "data" / "subjects" / "masks" / f"{name}.png"))
    return np.where(values == 255, 255, np.isin(values, DOGS))


def overlap(answer, right):
    """IoU of class 1."""
    known = right != 255
    return ((answer == 1) & (right == 1)).sum() / (((answer == 1) | (right == 1)) & known).sum()


def test_a_mask_a_box_points_a_scribble_and_a_tag_label_a_folder(run, weights, shared, folders, tmp_path):
    examples, images = folders
    code, _, said = run("label", examples, images, "--out", tmp_path / "labels", "--preset", "fast", "--backbone", weights, "--engine", "torch")
    assert code == 0, said
    for name in ASKED:
        assert overlap(np.asarray(Image.open(tmp_path / "labels" / f"{name}.png")), truth(shared, name)) > 0.75


def test_each_of_them_becomes_a_mask(run, weights, shared, folders, tmp_path):
    code, _, said = run("refine", folders[0], tmp_path / "refined", "--preset", "fast", "--backbone", weights, "--engine", "torch")
    assert code == 0, said
    found = {name: overlap(np.asarray(Image.open(tmp_path / "refined" / "masks" / f"{name}.png")), truth(shared, name)) for name in FOUND}
    assert all(found[name] > least for name, least in FOUND.items()), found


def test_an_untrained_label_anything_takes_the_same_examples(run, folders, tmp_path):
    options = ("--method", "label-anything", "--checkpoint", "random", "--backbone", "random:vit-tiny-14", "--engine", "torch")
    code, _, said = run("label", *folders, "--out", tmp_path / "labels", *options)
    assert code == 0, said
    for name in ASKED:
        with Image.open(tmp_path / "labels" / f"{name}.png") as label, Image.open(folders[1] / f"{name}.jpg") as image:
            assert label.size == image.size
