"""Keypoints as files: what a run writes is read again, folders of points, and clear errors."""

import json

import numpy as np
import pytest
from PIL import Image

from likewise.data import ClassTable, Prediction
from likewise.errors import InputError
from likewise.formats import read_support, read_truth
from likewise.formats.writing import open_writer, write_prediction


def predicted(points, image=None):
    return Prediction(ClassTable({}), {}, np.zeros((20, 33), np.uint8), {}, {}, 0.5, keypoints=points, image=image)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (33, 20)).save(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


def points_of(support):
    return {example.name: dict(example.labels.keypoints) for example in support.examples}


def test_a_folder_of_points_is_read_with_unknown_and_hidden_ones(folder):
    points = {"a": [[1.5, 2.5, 2], [0, 0, 0]], "b": [None, [32.0, 19.0, 1]]}
    (folder / "keypoints.json").write_text(json.dumps({"keypoints": ["nose", "tail"], "skeleton": [], "points": points}))
    read = read_support(folder)
    assert points_of(read.support) == {"a": {"nose": (1.5, 2.5)}, "b": {"nose": None, "tail": (32.0, 19.0)}}
    assert read.support.keypoints == ("nose", "tail")
    assert "keypoints: nose, tail" in read.sentence
    truth = read_truth(folder)
    assert truth.keypoints == ("nose", "tail")
    assert truth.labels("a.jpg", (20, 33)).keypoints == {"nose": (1.5, 2.5)}
    assert truth.labels("c.jpg", (20, 33)) is None


def test_the_file_of_points_may_have_another_name(folder):
    (folder / "dataset.json").write_text(json.dumps({"points": "p.json", "keypoints": ["nose"]}))
    with pytest.raises(InputError, match=r"there is no file 'p\.json'"):
        read_support(folder)
    (folder / "p.json").write_text(json.dumps({"keypoints": ["nose"], "points": {"c.jpg": [[3, 4]]}}))
    assert points_of(read_support(folder).support) == {"c": {"nose": (3.0, 4.0)}}


@pytest.mark.parametrize(
    ("points", "words"),
    [({"a": [[1, 2, 2]]}, "1 points and there are 2 names"), ({"a": [[1, 2, 2], ["x", 2, 2]]}, "points.a"), ({"a": [[1, 2, 2], [99, 2, 2]]}, "outside")],
)
def test_points_that_do_not_fit_are_refused(folder, points, words):
    (folder / "keypoints.json").write_text(json.dumps({"keypoints": ["nose", "tail"], "points": points}))
    with pytest.raises(InputError, match=words):
        read_support(folder)


def test_what_a_run_writes_is_read_again_beside_the_images(folder):
    writer = open_writer("index-png", folder / "images", ClassTable({}), {}, keypoints=True, names=["a.jpg"])
    written = writer.write("a.jpg", predicted({"nose": (3.25, 4.5, 0.9), "tail": (7.0, 8.0, 0.2)}))
    assert [path.as_posix() for path in written] == ["a.keypoints.json"]
    assert {*written} <= {*writer.planned("a.jpg")}
    assert points_of(read_support(folder / "images").support) == {"a": {"nose": (3.25, 4.5), "tail": None}}


def test_one_prediction_is_written_with_its_points_beside(tmp_path):
    files = write_prediction(predicted({"nose": (1.0, 2.0, 0.7)}), tmp_path / "x.png")
    assert [file.name for file in files] == ["x.keypoints.json"]
    assert json.loads(files[0].read_text())["keypoints"] == {"nose": {"x": 1.0, "y": 2.0, "probability": 0.7}}


def test_a_label_called_like_anothers_points_keeps_its_ending(tmp_path):
    names = ["a.jpg", "a.keypoints.jpg"]
    writer = open_writer("labelme", tmp_path, ClassTable({1: "x"}), {}, keypoints=True, names=names)
    planned = [path for name in names for path in writer.planned(name)]
    assert len(set(planned)) == len(planned)


@pytest.mark.parametrize("format", ["cvat", "examples"])
def test_points_without_any_class_stand_in_the_file_of_a_format_that_holds_them(folder, format):
    points = {"tip": (3.5, 4.25, 0.9), "tail": None}
    writer = open_writer(format, folder, ClassTable({}), {}, keypoints=True)
    assert set(writer.write("a.jpg", predicted(points))) <= set(writer.planned("a.jpg"))
    assert writer.finish()
    (folder / "a.keypoints.json").unlink()
    assert points_of(read_support(folder, format=format).support) == {"a": {"tip": (3.5, 4.25), "tail": None}}
