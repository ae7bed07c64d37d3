"""Our own examples.json: every kind of label in, and all problems of a file told at once."""

import numpy as np
import pytest

from likewise.data import LabelKind
from likewise.errors import InputError
from likewise.formats import list_images, read_support, read_truth, recognise
from likewise.formats.rle import encode_mask


@pytest.fixture
def everything(put, photo, mask):
    put("images/a.png", photo)
    put("images/b.png", photo)
    put("masks/a.png", mask)
    put("masks/part.png", (mask == 2).astype(np.uint8))
    put("depth/a.png", np.arange(70, dtype=np.uint16).reshape(7, 10))
    np.save(put.folder / "depth" / "b.npy", np.full((7, 10), 3.5, np.float32))
    line = np.zeros((7, 10), bool)
    line[6] = True
    return {
        "likewise": 1,
        "classes": {"1": "crack", "2": "stain", "4": "3"},
        "ignore": 0,
        "targets": {"depth": {"unit": "mm", "kind": "real", "scale": 0.5, "offset": 10, "invalid": 0}},
        "split": {"support": ["a", "sparse"], "query": ["images/b"]},
        "examples": [
            {
                "image": "images/a.png",
                "name": "a",
                "label_map": "masks/a.png",
                "masks": {"crack": encode_mask(line), "2": ["masks/part.png", {"size": [7, 10], "counts": [69, 1]}]},
                "dense": {"depth": "depth/a.png"},
            },
            {
                "image": "images/b.png",
                "name": "sparse",
                "boxes": {"crack": [[1, 2, 4, 5.5]]},
                "points": {"stain": {"positive": [[1, 1]], "negative": [[9, 6]]}},
                "scribbles": {"1": [[[0, 0], [5, 5]]]},
                "tags": {"3": False},
                "keypoints": {"nose": [3, 4], "tail": None},
                "dense": {"depth": {"path": "depth/b.npy", "scale": 2, "offset": 0, "invalid": -1}},
                "label": "stain",
                "unlabelled": "unknown",
            },
            {"image": "images/b.png"},
        ],
    }


def test_labels_of_every_kind_are_read(put, everything):
    put("examples.json", everything)
    assert recognise(put.folder) == "examples"
    read = read_support(put.folder)
    first, second = (example.labels for example in read.support.examples)
    assert first.kinds() | second.kinds() == set(LabelKind) - {LabelKind.VECTOR}  # which is of classes
    assert (first.label_map[6] == 1)[:9].all()
    assert first.label_map[6, 9] == 2
    assert first.label_map[1, 1] == -1
    assert first.mask(1)[6].all()
    assert np.isnan(first.dense["depth"][0, 0, 0])
    assert np.allclose(first.dense["depth"].ravel()[1:], np.arange(1, 70) * 0.5 + 10)
    assert (second.dense["depth"] == 7).all()
    assert second.boxes[1].tolist() == [[1, 2, 4, 5.5]]
    assert [part.tolist() for part in second.points[2]] == [[[1, 1]], [[9, 6]]]
    assert second.tags == {4: False}
    assert second.keypoints == {"nose": (3, 4), "tail": None}
    assert (second.label, second.unlabelled) == (2, "unknown")
    assert read.support.targets["depth"].unit == "mm"
    assert [entry.name for entry in list_images(put.folder).entries] == ["images/b.png"]


def test_what_is_unlabelled_is_said_for_all_by_one_example_for_itself_and_by_the_caller_for_good(put, everything):
    everything["unlabelled"] = "background"
    put("examples.json", everything)
    assert [example.labels.unlabelled for example in read_support(put.folder).support.examples] == ["background", "unknown"]
    everything["unlabelled"] = "unknown"
    everything["examples"][1]["unlabelled"] = "background"
    put("examples.json", everything)
    assert [example.labels.unlabelled for example in read_support(put.folder).support.examples] == ["unknown", "background"]
    everyone = read_support(put.folder, unlabelled="unknown").support.examples
    assert {example.labels.unlabelled for example in everyone} == {"unknown"}
    assert read_truth(put.folder).labels("a", size=(7, 10)).unlabelled == "unknown"


def test_a_truth_is_found_by_name_path_or_stem(put, everything):
    truth = read_truth(put("examples.json", everything))
    assert len(truth) == 2
    assert truth.labels("a.jpg", size=(7, 10)).label_map is not None
    assert truth.labels("elsewhere/a.png", size=(7, 10)).label_map is not None
    assert truth.labels("c.png", size=(7, 10)) is None
    with pytest.raises(InputError, match="10x7, its image 20x14"):
        truth.labels("a.jpg", size=(14, 20))


def test_classes_that_are_not_declared_are_those_that_the_examples_name(put, photo):
    put("a.png", photo)
    put("examples.json", {"examples": [{"image": "a.png", "tags": {"cat": True}}]})
    assert dict(read_support(put.folder).support.classes.names) == {1: "cat"}
    assert read_truth(put.folder).labels("a", size=(7, 10)).tags == {1: True}


def test_all_problems_of_a_file_are_told_at_once_with_the_closest_match(put, everything):
    first, second, _ = everything["examples"]
    first["lable_map"] = "x"
    second["boxes"] = {"crack": [[1, 2, 3]]}
    second["tags"] = {"crack": "yes"}
    everything["clases"] = {}
    everything["targets"]["depth"]["units"] = "m"
    path = put("examples.json", everything)
    with pytest.raises(InputError) as caught:
        read_support(put.folder)
    text = str(caught.value)
    assert "5 problems" in text
    assert caught.value.where == str(path)
    for field, reason in [
        ("examples[0].lable_map", "did you mean 'label_map'"),
        ("examples[1].boxes.crack[0][3]", "field required"),
        ("examples[1].tags.crack", "valid boolean"),
        ("clases", "did you mean 'classes'"),
        ("targets.depth.units", "did you mean 'unit'"),
    ]:
        assert reason in next(line for line in text.splitlines() if line.strip().startswith(field + ":"))


def test_files_that_are_not_there_or_outside_are_told_together(put, everything):
    first, second, third = everything["examples"]
    first["label_map"] = "masks/gone.png"
    second["image"] = "../../etc/passwd"
    third["image"], third["name"] = "/etc/passwd", "a"
    put("examples.json", everything)
    with pytest.raises(InputError, match=r"4 problems(.|\n)*gone.png(.|\n)*outside(.|\n)*two examples are called 'a'(.|\n)*not a path inside"):
        read_support(put.folder)


def test_a_link_that_leads_outside_is_not_followed(put, photo, tmp_path_factory):
    secret = tmp_path_factory.mktemp("other") / "secret.png"
    secret.write_bytes(b"x")
    (put.folder / "a.png").symlink_to(secret)
    put("examples.json", {"examples": [{"image": "a.png", "tags": {"cat": True}}]})
    with pytest.raises(InputError, match="lies outside"):
        read_support(put.folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(likewise=2), "version 2"),
        (lambda c: c.update(examples=[]), "at least 1"),
        (lambda c: c.update(classes={"x": "crack"}), "whole numbers"),
        (lambda c: c.update(classes={"0": "crack"}), "class number 0"),
        (lambda c: c["targets"]["depth"].update(kind="angel"), "'real', 'log'"),
        (lambda c: c["targets"]["depth"].update(range=[2, 1]), "low < high"),
        (lambda c: c["targets"]["depth"].update(scale=-1), "greater than 0"),
        (lambda c: c["examples"][0].update(masks={"crak": "masks/a.png"}), "did you mean 'crack'"),
        (lambda c: c["examples"][0].update(masks={"crack": []}), "no parts"),
        (lambda c: c["examples"][0].update(masks={"crack": {"size": [7, 10], "counts": "1"}}), "add up to 1"),
        (lambda c: c["examples"][0].update(masks={"crack": {"size": [7, 0], "counts": ""}}), r"size is \[7, 0\]"),
        (lambda c: c["examples"][0].update(masks={"crack": {"size": [10**6, 10**6], "counts": ""}}), "pixels"),
        (lambda c: c["split"].update(support=["images/b"]), "no labels: images/b"),
        (lambda c: c["examples"][1].update(points={"crack": {"positve": []}}), "did you mean 'positive'"),
    ],
)
def test_what_cannot_be_used_is_refused(put, everything, change, words):
    change(everything)
    put("examples.json", everything)
    with pytest.raises(InputError, match=words):
        read_support(put.folder)


def test_a_key_that_is_written_twice_is_refused(put, photo):
    put("a.png", photo)
    put("examples.json", '{"examples": [{"image": "a.png", "tags": {"cat": true, "cat": false}}]}')
    with pytest.raises(InputError, match="'cat' is written twice"):
        read_support(put.folder)


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "\ud800.png", "a\0b.png"])
def test_names_that_no_file_can_have_are_refused(put, name):
    put("examples.json", {"examples": [{"image": name, "tags": {"cat": True}}]})
    with pytest.raises(InputError, match=r"no name of a file|not a path inside"):
        read_support(put.folder)
