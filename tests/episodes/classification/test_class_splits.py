"""Splits by classes: published lists and rules, and folders."""

import json
from pathlib import Path

import pytest

from likewise.episodes.classification.splits import ClassSplit, alternating_split, class_folders, read_split, turned
from likewise.errors import InputError

LISTS = Path(__file__).parents[3] / ".." / "shared" / "benchmarks" / "classifiers"
needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="../shared/benchmarks is not there")


def written(folder, content):
    path = folder / "split.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@needs_lists
@pytest.mark.parametrize(("name", "sizes"), [("omniglot_vinyals", (1028, 172, 423)), ("mini_imagenet_ravi", (64, 16, 20))])
def test_published_lists_have_their_published_sizes(name, sizes):
    split = read_split(LISTS / f"{name}.json")
    assert (len(split.train), len(split.val), len(split.test)) == sizes


@needs_lists
def test_drawings_of_vinyals_split_make_four_classes_each():
    split = read_split(LISTS / "omniglot_vinyals.json")
    assert [len(turned(part)) for part in (split.train, split.val, split.test)] == [4112, 688, 1692]
    assert turned(split.train)[4 * 7 + 3] == (split.train[7], 3)


@pytest.mark.parametrize(
    "wrap", [lambda parts: parts, lambda parts: {"split": parts}, lambda parts: {part: {name: [1] for name in names} for part, names in parts.items()}]
)
def test_a_split_is_read_from_lists_or_from_what_stands_beside_images(tmp_path, wrap):
    parts = {"train": ["b", "a"], "val": ["c"], "test": ["e", "d"]}
    assert read_split(written(tmp_path, wrap(parts))) == ClassSplit(("b", "a"), ("c",), ("e", "d"))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"train": ["a"], "val": ["b"], "test": []}, "under test"),
        ({"train": ["a"], "test": [1]}, "under val, test"),
        (["a"], "under train, val, test"),
        ({"split": ["a"]}, "under train, val, test"),
        ({"train": ["a", "b"], "val": ["c"], "test": ["b"]}, "names b more than once"),
    ],
)
def test_what_is_no_split_is_refused(tmp_path, content, word):
    with pytest.raises(InputError, match=word):
        read_split(written(tmp_path, content))


def test_every_fourth_folder_validates_and_every_fourth_tests():
    folders = [f"{number:03d}.bird" for number in range(1, 201)]
    split = alternating_split(folders[::-1])
    assert (len(split.train), len(split.val), len(split.test)) == (100, 50, 50)
    assert split.train[:2] == ("001.bird", "003.bird")
    assert split.val[:2] == ("002.bird", "006.bird")
    assert split.test[:2] == ("004.bird", "008.bird")


def test_a_folder_that_holds_images_is_a_class(tmp_path):
    for name in ("cat/2.jpg", "cat/1.png", "Latin/character02/0.png", "Latin/notes.txt", "dog/.hidden.png", "loose.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = class_folders(tmp_path)
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {"Latin/character02": ["0.png"], "cat": ["1.png", "2.jpg"]}
    with pytest.raises(InputError, match="holds images"):
        class_folders(tmp_path / "dog")
    with pytest.raises(InputError, match="cannot be read"):
        class_folders(tmp_path / "nowhere")
