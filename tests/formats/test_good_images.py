"""Good images without labels: read where that is asked for, and never by mistake."""

import json

import pytest

from likewise.errors import InputError, UsageError
from likewise.formats import read_support, recognise


@pytest.fixture
def good(put, photo):
    for name in ("b.jpg", "a.jpg", "deep/c.png"):
        put(f"good/{name}", photo)
    return put.folder / "good"


def absent(support):
    return {example.name: [support.classes[number] for number in support.classes if example.labels.present(number) is False] for example in support.examples}


def test_each_image_says_that_the_one_class_is_absent(good):
    read = read_support(good, format="good")
    assert dict(read.support.classes.names) == {1: "unlike"}
    assert absent(read.support) == {"a": ["unlike"], "b": ["unlike"], "deep/c": ["unlike"]}
    assert "3 good images; class: unlike" in read.sentence


def test_a_folder_without_labels_is_not_recognised_unless_it_is_asked_for(good):
    with pytest.raises(InputError, match="no labels were found"):
        recognise(good)
    with pytest.raises(InputError, match="no labels were found"):
        read_support(good)
    assert read_support(good, otherwise="good").format == "good"


def test_labels_that_are_there_are_read_although_good_images_would_do(put, photo, mask):
    put("some/images/a.jpg", photo)
    put("some/masks/a.png", mask)
    assert read_support(put.folder / "some", otherwise="good").format == "index-png"


def test_the_class_is_called_as_dataset_json_says_and_a_split_chooses_images(good):
    (good / "dataset.json").write_text(json.dumps({"classes": {"3": "scratch"}, "split": {"support": ["a", "deep/c"]}}))
    support = read_support(good, format="good").support
    assert dict(support.classes.names) == {3: "scratch"}
    assert absent(support) == {"a": ["scratch"], "deep/c": ["scratch"]}


def test_images_may_lie_in_a_folder_of_that_name_and_one_image_is_enough(put, photo):
    put("set/images/x.jpg", photo)
    put("set/notes/y.jpg", photo)
    assert [example.name for example in read_support(put.folder / "set", format="good").support.examples] == ["x"]
    assert [example.name for example in read_support(put.folder / "set/notes/y.jpg", format="good").support.examples] == ["y"]


def test_a_folder_without_images_and_a_file_that_is_none_are_refused(put):
    put("empty/notes.txt", b"nothing")
    for path, told in ((put.folder / "empty", "no images"), (put.folder / "empty/notes.txt", "neither a folder nor an image")):
        with pytest.raises(InputError, match=told) as caught:
            read_support(path, format="good")
        assert str(path) in caught.value.where


def test_a_path_that_is_not_there_is_said_so_and_an_unknown_format_first(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_support(tmp_path / "nowhere", otherwise="good")
    with pytest.raises(UsageError, match="no format 'goods'"):
        read_support(tmp_path / "nowhere", format="goods")
