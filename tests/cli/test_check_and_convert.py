"""`likewise check` and `likewise convert`: all problems in one run, losses told before anything is written, nothing overwritten."""

import json

import numpy as np
import pytest
from PIL import Image

from likewise.formats import read_support


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_check_says_that_there_is_no_problem(run, examples):
    code, out, err = run("check", examples)
    assert (code, out) == (0, "")
    assert "3 labelled images: no problem" in err


def test_check_lists_every_problem_with_its_place_and_remedy(run, examples):
    Image.fromarray(np.full((5, 6), 1, np.uint8)).save(examples / "masks/photo-0.png")
    Image.fromarray(np.full((49, 71), 7, np.uint8)).save(examples / "masks/photo-1.png")
    whole = (examples / "images/photo-2.png").read_bytes()
    (examples / "images/photo-2.png").write_bytes(whole[: len(whole) // 2])
    code, out, err = run("check", examples)
    assert code == 4
    assert "3 problems" in err
    size, value, damaged = out.splitlines()
    assert "photo-0" in size
    assert "it is 6x5, its image 71x48. Give it the size of the image" in size
    assert "photo-1" in value
    assert "no class: 7" in value
    assert "photo-2" in damaged
    assert "damaged" in damaged


def test_check_lists_the_problems_of_every_file(run, tmp_path):
    (tmp_path / "set/images").mkdir(parents=True)
    (tmp_path / "set/labels").mkdir()
    for name, line in (("a", "0 nan 0.5 0.1 0.1\n3 0.5 0.5 0.1 0.1"), ("b", "0 0.5 0.5 0.1"), ("c", "0 0.5 0.5 0.1 0.1")):
        Image.new("RGB", (20, 10)).save(tmp_path / f"set/images/{name}.png")
        (tmp_path / f"set/labels/{name}.txt").write_text(line)
    (tmp_path / "set/data.yaml").write_text("names: [crack]")
    code, out, _ = run("check", tmp_path / "set", "--json")
    problems = json.loads(out)["problems"]
    assert code == 4
    assert [each["where"].rpartition("/")[2] for each in problems] == ["a.txt: line 1", "a.txt: line 2", "b.txt: line 1"]
    assert all(each["what"] and each["remedy"] for each in problems)


def test_convert_says_first_what_is_lost_and_writes_the_rest(run, tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "in/a.png")
    shapes = [
        {"label": "crack", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon"},
        {"label": "stain", "points": [[12, 3]], "shape_type": "point"},
        {"label": "stain", "points": [[12, 3], [15, 4]], "shape_type": "linestrip"},
    ]
    (tmp_path / "in/a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.png", "flags": {"rust": True}}))
    code, _, err = run("convert", tmp_path / "in", tmp_path / "out", "--format", "yolo", "--dry-run")
    assert code == 0
    assert not (tmp_path / "out").exists()
    for need in ("points", "scribbles", "tags"):
        assert f"yolo cannot hold {need}: left out of a" in err
    assert run("convert", tmp_path / "in", tmp_path / "out", "--format", "yolo")[0] == 0
    support = read_support(tmp_path / "out").support
    assert support.classes.names == {1: "crack", 2: "rust", 3: "stain"}
    original = read_support(tmp_path / "in").support.examples[0].labels.mask(1)
    assert np.array_equal(support.examples[0].labels.mask(1), original)


def test_convert_overwrites_nothing_and_leaves_nothing_half_done(run, examples, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    before, listed = tree(examples), set(tmp_path.iterdir())
    code, _, err = run("convert", examples, tmp_path / "out", "--format", "coco")
    assert code == 2
    assert "something already" in err
    Image.fromarray(np.full((49, 71), 7, np.uint8)).save(examples / "masks/photo-1.png")
    assert run("convert", examples, tmp_path / "new", "--format", "coco")[0] == 4
    assert set(tmp_path.iterdir()) == listed
    assert tree(tmp_path / "out") == {"mine.txt": b"mine"}
    assert {name for name, content in tree(examples).items() if content != before[name]} == {"masks/photo-1.png"}


@pytest.mark.parametrize(
    ("format", "code", "words"), [("coco-panoptic", 2, "read, not written"), ("vok", 2, "did you mean 'voc'"), ("csv", 2, "can hold nothing of it")]
)
def test_a_format_that_cannot_be_written_is_refused(run, examples, tmp_path, format, code, words):
    found, _, err = run("convert", examples, tmp_path / "out", "--format", format)
    assert found == code
    assert words in err


def test_splits_and_unknown_pixels_are_kept(run, examples, tmp_path):
    about = {"classes": {"1": "square"}, "unlabelled": "unknown", "split": {"support": ["photo-0", "photo-2"], "query": ["photo-1"]}}
    (examples / "dataset.json").write_text(json.dumps(about))
    for format in ("voc", "yolo", "cvat", "label-studio", "labelme", "coco", "index-png", "examples"):
        assert run("convert", examples, tmp_path / f"out-{format}", "--format", format)[0] == 0
        read = read_support(tmp_path / f"out-{format}")
        assert [example.name.rpartition("/")[2] for example in read.support.examples] == ["photo-0", "photo-2"]
        assert {example.labels.unlabelled for example in read.support.examples} == {"unknown"}


@pytest.mark.parametrize("format", ["csv", "folders"])
def test_classes_of_whole_images_are_converted(run, tmp_path, format):
    for index, name in enumerate(("cat", "dog", "_none")):
        (tmp_path / "in" / name).mkdir(parents=True)
        Image.new("RGB", (20, 10 + index)).save(tmp_path / f"in/{name}/{name}{index}.png")
    assert run("convert", tmp_path / "in", tmp_path / "out", "--format", format)[0] == 0
    support = read_support(tmp_path / "out").support
    assert support.classes.names == {1: "cat", 2: "dog"}
    assert sorted(support.classes[example.labels.label] if example.labels.label else "_none" for example in support.examples) == ["_none", "cat", "dog"]


@pytest.mark.parametrize("format", ["csv", "folders"])
def test_splits_follow_images_of_a_class_to_where_they_are_called_otherwise(run, tmp_path, format):
    for name in ("cat", "dog"):
        (tmp_path / "in/images" / name).mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (20, 10 + index)).save(tmp_path / f"in/images/{name}/{index}.png")
    about = {"kind": "classification", "split": {"support": ["cat/0", "dog/1"], "query": ["cat/1", "dog/0"]}}
    (tmp_path / "in/dataset.json").write_text(json.dumps(about))
    assert run("convert", tmp_path / "in", tmp_path / "out", "--format", format)[0] == 0
    support = read_support(tmp_path / "out", format=format).support
    assert [(support.classes[example.labels.label], example.labels.size) for example in support.examples] == [("cat", (10, 20)), ("dog", (11, 20))]


def test_that_all_but_the_points_is_background_is_told_of_where_it_is_lost(run, tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    entry = {"image": "a.png", "points": {"crack": {"positive": [[3, 4]]}}}
    (tmp_path / "examples.json").write_text(json.dumps({"likewise": 1, "classes": ["crack"], "unlabelled": "background", "examples": [entry]}))
    assert "labelme cannot hold background around points" in run("convert", tmp_path, tmp_path / "out", "--format", "labelme", "--dry-run")[2]
    entry["unlabelled"] = "unknown"
    (tmp_path / "examples.json").write_text(json.dumps({"likewise": 1, "classes": ["crack"], "examples": [entry]}))
    assert "labelme holds all of it" in run("convert", tmp_path, tmp_path / "out", "--format", "labelme", "--dry-run")[2]


def test_a_limit_of_pixels_holds_for_examples_too_and_ends_with_the_command(run, examples):
    for verb in (("check", examples), ("inspect", examples), ("convert", examples, "out", "--format", "coco")):
        code, out, err = run(*verb, "--max-pixels", 3000)
        assert code == 4
        assert "71x48" in out + err
        assert "--max-pixels" in out + err
    assert run("check", examples)[0] == 0
    assert run("check", examples, "--max-pixels", 0)[0] == 2
