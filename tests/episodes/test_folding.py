"""Folds of classes: cut, declared by a data set, read from a file."""

import pytest

from likewise.data import ClassTable
from likewise.episodes.folding import cut, declared, read_folds
from likewise.errors import InputError, UsageError

TABLE = ClassTable({1: "cat", 2: "dog", 4: "car", 5: "cup", 6: "key", 9: "pen", 10: "owl"})


@pytest.mark.parametrize("folds", [2, 3, 4, 7])
def test_every_class_is_tested_in_one_fold_and_trained_on_in_the_others(folds):
    parts = cut(TABLE.numbers, folds).parts
    assert [number for fold in parts for number in fold["test"]] == list(TABLE.numbers)
    for fold in parts:
        assert sorted((*fold["train"], *fold["test"])) == list(TABLE.numbers)
        assert 1 <= len(fold["test"]) <= -(-len(TABLE) // folds)


def test_more_folds_than_classes_are_refused():
    with pytest.raises(UsageError, match="8 folds of 7 classes"):
        cut(TABLE.numbers, 8)


def test_splits_of_class_names_are_one_fold():
    found = declared(TABLE, {"train": ["cat", "car"], "val": ["dog"], "test": ["owl", "pen"]})
    assert found.parts == [{"train": (1, 4), "val": (2,), "test": (10, 9)}]


def test_splits_of_image_names_are_none():
    assert declared(TABLE, {"train": ["photo-1"], "val": ["cat"]}) is None
    assert declared(TABLE, {"support": ["cat"], "query": ["dog"]}) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [("f.toml", 'folds = [["dog", "car"], [10, "cat", "pen"]]'), ("f.json", '{"folds": [["dog", "car"], [10, "cat", "pen"]]}')],
)
def test_a_file_says_the_test_classes_of_each_fold(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = read_folds(tmp_path / name, TABLE)
    assert found.parts[1] == {"train": (2, 4), "val": (10, 1, 9), "test": (10, 1, 9)}
    assert found.classes("train", 0, "here") == (10, 1, 9)


def test_a_file_may_say_the_parts_instead(tmp_path):
    (tmp_path / "f.toml").write_text('train = ["cat"]\ntest = ["dog", "car"]')
    found = read_folds(tmp_path / "f.toml", TABLE)
    assert found.classes("test", 0, "here") == (2, 4)
    with pytest.raises(InputError, match="part 'val' of fold 0 has no class"):
        found.classes("val", 0, "here")
    with pytest.raises(UsageError, match="there is no fold 1"):
        found.classes("test", 1, "here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('folds = [["dgo"]]', "did you mean 'dog'"),
        ('folds = [["dog"], ["car", "dog"]]', "'dog' is in two folds"),
        ('folds = [["dog"], []]', "fold 1 has no class"),
        ('folds = "dog"', "is no list"),
        ('train = ["dog", "cat"]\ntest = ["cat"]', "'cat' is in train and in test"),
        ("fold = 3", "it says no folds"),
        ("folds = [", "no TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_name(tmp_path, text, words):
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_folds(tmp_path / "f.toml", TABLE)
    assert caught.value.where == str(tmp_path / "f.toml")
