"""Examples in every format, and answers in every format: real photographs, the real backbone and the command line say the same of each pixel."""

import shutil

import numpy as np
import pytest
from PIL import Image

from likewise.cli import main
from likewise.formats import read_support, read_truth
from likewise.formats.converting import convert, plan
from likewise.formats.writing import ENCODERS

FORMATS = sorted(name for name, encoder in ENCODERS.items() if "masks" in encoder.holds)
ASKED = 2


@pytest.fixture
def steel(shared, tmp_path, monkeypatch):
    """The data set, and a folder with two of its images to label; an image passes the backbone once."""
    monkeypatch.setenv("LIKEWISE_FEATURES", str(tmp_path / "features"))
    folder = shared / "data" / "steel_defects"
    images = sorted((folder / "images").iterdir())[:ASKED]
    (tmp_path / "queries").mkdir()
    for image in images:
        shutil.copyfile(image, tmp_path / "queries" / image.name)
    return folder, tmp_path / "queries"


def run(examples, queries, out, *more):
    assert main(["label", str(examples), str(queries), "--out", str(out), "--method", "prototype", "--preset", "fast", *more]) == 0


def maps(folder):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def test_examples_in_every_format_give_the_same_labels(steel, tmp_path, default_weights):
    found = {}
    for format in FORMATS:
        convert(plan(steel[0], format, split="support"), tmp_path / f"in-{format}")
        run(tmp_path / f"in-{format}", steel[1], tmp_path / f"out-{format}", "--as", "index-png" if format == "geotiff" else format)
        found[format] = maps(tmp_path / f"out-{format}")
    assert len(found["index-png"]) == ASKED
    assert any(labels.any() for labels in found["index-png"].values())
    for format, answers in found.items():
        assert all(np.array_equal(labels, found["index-png"][name]) for name, labels in answers.items()), format
        assert answers.keys() == found["index-png"].keys()


def test_answers_in_every_format_are_the_same_labels(steel, tmp_path, default_weights):
    run(steel[0], steel[1], tmp_path / "out")
    wanted = maps(tmp_path / "out")
    classes = read_support(steel[0]).support.classes
    for format in FORMATS:
        place = tmp_path / f"set-{format}"
        labels = place / "masks" if format in ("index-png", "geotiff") else place
        run(steel[0], steel[1], labels, "--format", format)
        shutil.copytree(steel[1], place / ("JPEGImages" if format == "voc" else "images"), dirs_exist_ok=True)
        if labels != place:
            shutil.move(labels / "classes.json", place / "classes.json")
        truth = read_truth(place, format="index-png" if format == "geotiff" else format)
        for name, expected in wanted.items():
            read = truth.labels(name, expected.shape)
            for number, word in truth.classes.names.items():
                assert np.array_equal(read.mask(number), expected == classes.number(word)), (format, name, word)
