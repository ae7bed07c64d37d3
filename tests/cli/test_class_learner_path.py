"""Learners of classes that need a checkpoint, by the command line on photographs: train a little, learn, label, add a class."""

import csv
import shutil
from pathlib import Path

import pytest

from likewise.cli import main

RECIPES = Path(__file__).parents[2] / "recipes" / "classifiers"
SMALL = (
    "episodes=2",
    "batch=1",
    "method.side=32",
    "classes.way=5",
    "classes.query=2",
    "classes.validation_query=2",
    "validation.episodes=1",
    "validation.every=2",
)
PLACE = ("--device", "cpu", "--engine", "torch")
CLASSES = ("Leopards", "accordion", "umbrella")


@pytest.fixture
def examples(shared, tmp_path):
    """Two photographs of two classes and, apart, of a third one; two more of each to label."""
    for name in CLASSES:
        for place in range(1, 5):
            kind = "images" if place > 2 else "more" if name == CLASSES[2] else "examples"
            (tmp_path / kind / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(shared / f"data/caltech_mini/images/{name}/{place:02}.jpg", tmp_path / kind / name)
    return tmp_path


def trained(shared, tmp_path, name, *changes):
    data = f"data.caltech={shared / 'data/caltech_mini'}"
    assert main(["train", str(RECIPES / f"{name}.toml"), *SMALL, *changes, data, "--out", str(tmp_path / name)]) == 0
    return tmp_path / name / "best.safetensors"


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("method", ["maml", "hallucinator"])
def test_a_learner_that_was_trained_labels_photographs_and_is_taught_a_class_more(method, shared, examples, tmp_path, capsys):
    start = ()
    if method == "hallucinator":
        start = (f"method.start={trained(shared, tmp_path, 'prototypical-caltech')}",)
    checkpoint = trained(shared, tmp_path, f"{method}-caltech", *start)
    task = tmp_path / "own.task"
    assert main(["learn", str(examples / "examples"), "--out", str(task), "--method", method, "--checkpoint", str(checkpoint), *PLACE]) == 0
    assert main(["label", str(task), str(examples / "images"), "--out", str(tmp_path / "labels"), "--truth", str(examples / "images"), *PLACE]) == 0
    told = capsys.readouterr()
    assert "6 images" in told.out
    rows = rows_of(tmp_path / "labels" / "labels.csv")
    assert len(rows) == 6
    assert all(sum(float(row[name]) for name in CLASSES[:2]) == pytest.approx(1, abs=1e-5) for row in rows)
    assert main(["learn", str(task), "--add", str(examples / "more"), "--as", "folders", *PLACE]) == 0
    assert main(["label", str(task), str(examples / "images"), "--out", str(tmp_path / "again"), *PLACE]) == 0
    again = rows_of(tmp_path / "again" / "labels.csv")
    assert set(CLASSES) < set(again[0])
    assert all(0 < float(row[CLASSES[2]]) < 1 for row in again)


def test_classes_without_an_image_are_told_by_their_attributes_and_one_is_added_by_its_own(shared, examples, tmp_path, capsys):
    vectors = RECIPES / "caltech_attributes.csv"
    changes = ("episodes=2", "classes.way=5", "classes.query=2", "method.width=8", "method.side=56", "validation.every=2", "backbone.name=random:vit-tiny-14")
    data = (f"data.caltech={shared / 'data/caltech_mini'}", f"classes.vectors={vectors}", "backbone.features=compute", "backbone.engine=torch")
    assert main(["train", str(RECIPES / "zero-shot-prototypical-caltech.toml"), *changes, *data, "--out", str(tmp_path / "run")]) == 0
    head, *lines = vectors.read_text().splitlines()
    of = {line.split(",")[0]: line for line in lines}
    for name, classes in (("two.csv", CLASSES[:2]), ("more.csv", CLASSES[2:])):
        (tmp_path / name).write_text("\n".join([head, *(of[each] for each in classes)]))
    task, checkpoint = tmp_path / "own.task", tmp_path / "run" / "best.safetensors"
    assert main(["learn", str(tmp_path / "two.csv"), "--out", str(task), "--checkpoint", str(checkpoint), *PLACE]) == 0
    assert "zero-shot-prototypical: 2 class vectors" in capsys.readouterr().err
    assert main(["learn", str(task), "--add", str(tmp_path / "more.csv"), *PLACE]) == 0
    assert main(["label", str(task), str(examples / "images"), "--out", str(tmp_path / "labels"), "--truth", str(examples / "images"), *PLACE]) == 0
    rows = rows_of(tmp_path / "labels" / "labels.csv")
    assert len(rows) == 6
    assert all(sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-5) for row in rows)
    assert (
        main(["label", str(tmp_path / "two.csv"), str(examples / "images"), "--out", str(tmp_path / "at once"), "--checkpoint", str(checkpoint), *PLACE]) == 0
    )
    assert set(rows_of(tmp_path / "at once" / "labels.csv")[0]) >= set(CLASSES[:2])
    assert main(["inspect", str(task)]) == 0
    assert "class vectors: 3" in capsys.readouterr().out
