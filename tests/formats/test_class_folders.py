"""A folder a class: what is read, what is refused, and what becomes of names."""

import numpy as np
import pytest

from likewise.data import ClassTable
from likewise.errors import InputError
from likewise.formats import list_images, read_support, read_truth, recognise
from likewise.formats.class_writer import folder_names


@pytest.fixture
def classes(put, photo):
    """A cat, two dogs, one of them deeper, and a picture of neither."""
    for name in ("cat/1.jpg", "dog/1.jpg", "dog/old/7.png", "_none/9.jpg"):
        put(f"examples/{name}", photo)
    return put.folder / "examples"


def test_the_folder_is_the_class_whatever_lies_deeper(classes):
    read = read_support(classes)
    shown = {example.name: None if example.labels.label is None else read.support.classes[example.labels.label] for example in read.support.examples}
    assert read.format == "folders"
    assert shown == {"_none/9": None, "cat/1": "cat", "dog/1": "dog", "dog/old/7": "dog"}


def test_an_image_of_none_of_them_says_that_every_class_is_absent(classes):
    support = read_support(classes).support
    (strange,) = [example for example in support.examples if example.name == "_none/9"]
    assert [strange.labels.present(number) for number in support.classes] == [False, False]


def test_a_class_without_an_image_is_refused_by_name(classes):
    (classes / "horse").mkdir()
    with pytest.raises(InputError, match="'horse' has no image"):
        read_support(classes)


def test_images_that_lie_in_no_class_are_refused(classes, put, photo):
    put("examples/stray.png", photo)
    with pytest.raises(InputError, match=r"'stray\.png'.*Move"):
        read_support(classes)


def test_a_folder_with_one_class_is_read_only_where_the_format_is_named(put, photo):
    put("one/cat/1.jpg", photo)
    with pytest.raises(InputError, match="no labels were found"):
        recognise(put.folder / "one")
    assert len(read_support(put.folder / "one", format="folders").support) == 1


def test_images_and_masks_are_not_taken_for_two_classes(put, photo):
    put("set/images/a.jpg", photo)
    put("set/labels/a.jpg", photo)
    with pytest.raises(InputError, match="no labels were found"):
        recognise(put.folder / "set")


def test_a_data_set_that_splits_its_classes_gives_the_images_of_a_split(put, photo):
    for name in ("cat/1.jpg", "dog/2.jpg", "dog/3.jpg"):
        put(f"set/images/{name}", photo)
    put("set/dataset.json", {"kind": "classification", "classes": {"4": "dog", "7": "cat"}, "split": {"train": ["cat"], "test": ["dog"]}})
    read = read_support(put.folder / "set", split="test")
    assert dict(read.support.classes.names) == {4: "dog", 7: "cat"}
    assert [example.name for example in read.support.examples] == ["dog/2", "dog/3"]
    assert list_images(put.folder / "set", split="train").names == ["cat/1.jpg"]


def test_a_folder_that_dataset_json_does_not_know_is_refused_with_the_closest_class(put, photo):
    put("set/images/dgo/1.jpg", photo)
    put("set/dataset.json", {"kind": "classification", "classes": ["dog"]})
    with pytest.raises(InputError, match=r"'dgo'.*dog"):
        read_support(put.folder / "set")


def test_a_truth_knows_the_class_of_an_image_by_its_file_name_alone(classes):
    truth = read_truth(classes)
    labels = truth.labels("somewhere/7.png", (7, 10))
    assert truth.classes[labels.label] == "dog"
    assert truth.labels("1.jpg", (7, 10)) is None  # a cat and a dog are called so


def test_more_than_two_hundred_and_fifty_four_classes_are_numbered_around_the_number_of_ignore(put):
    for number in range(258):
        put(f"many/c{number:03}/1.png", np.full((2, 3, 3), number % 256, np.uint8))
    numbers = read_support(put.folder / "many").support.classes.numbers
    assert len(numbers) == 258
    assert 255 not in numbers


def test_the_folders_that_are_written_are_distinct_and_lie_side_by_side():
    table = ClassTable({1: "../up", 2: "A", 3: "a", 4: ".git", 5: "con", 6: "50 % off"})
    names = folder_names(table)
    assert len({name.casefold() for name in names.values()}) == 7
    assert not any("/" in name or name.startswith(".") for name in names.values())
    assert names["_none"] == "_none"


def test_names_of_folders_are_distinct_short_and_taken_by_every_file_system():
    names = ["cow~3", "Cow", "cow", "a" * 200, "\u4e2d" * 200, "\u4e2d" * 199 + "\u6587", "COM\u00b9", "nul .txt", "CONIN$", "<script>", "../x", "=cmd", "-rf"]
    found = folder_names(ClassTable.named_by(names))
    folders = list(found.values())
    assert set(found) == {*names, "_none"}
    assert len({folder.casefold() for folder in folders}) == len(names) + 1
    assert max(len(folder.encode()) for folder in folders) <= 210
    assert not [folder for folder in folders if set(folder) & set('<>:"/\\|?*') or folder in (".", "..") or folder[-1] in ". "]
    devices = {"con", "prn", "aux", "nul", "conin$", "conout$", "com1", "com\u00b9", "lpt1"}
    assert not [folder for folder in folders if folder.casefold().partition(".")[0].strip() in devices]
