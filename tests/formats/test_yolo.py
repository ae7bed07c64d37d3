"""YOLO: boxes and outlines as shares of the image, the layouts of its tools, and what cannot be used."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from likewise.data import ClassTable, Prediction
from likewise.data.geometry import fill_polygons
from likewise.errors import InputError
from likewise.formats import open_writer, read_support, read_truth, recognise
from likewise.formats.outline import bridged, rings


@pytest.fixture
def yolo(put, photo):
    def write(text, name="a", yaml="names: [crack, stain]\n"):
        put(f"images/{name}.png", photo)
        put(f"labels/{name}.txt", text)
        if yaml is not None:
            put("data.yaml", yaml)
        return put.folder

    return write


def labels(folder, **more):
    return read_support(folder, **more).support.examples[0].labels


def test_boxes_are_shares_of_the_image_from_their_centre(yolo):
    folder = yolo("0 0.5 0.5 0.2 0.4\n1 0.15 0.5 0.3 1.0 0.93\n\n")
    assert recognise(folder) == "yolo"
    found = labels(folder)
    assert np.allclose(found.boxes[1], [[4, 2.1, 6, 4.9]])
    assert np.allclose(found.boxes[2], [[0, 0, 3, 7]])  # the sixth number is a score


def test_every_line_is_an_object_and_outlines_are_filled(yolo):
    corners = [(1, 1), (5, 1), (5, 4), (1, 4)]
    line = " ".join(f"{x / 10} {y / 7}" for x, y in corners)
    found = labels(yolo(f"0 {line}\n0.0 {line}\n1 0.85 0.5 0.2 0.2\n"))
    assert np.array_equal(found.mask(1), fill_polygons((7, 10), [np.array(corners, float)]))
    assert [one.box for one in found.instances[1]] == [(1, 1, 5, 4)] * 2
    assert (found.label_map[3:4, 8:9] == -1).all()  # inside the box


@given(hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 9))))
def test_the_bridge_from_ring_to_ring_shuts_in_nothing(mask):
    if mask.any():
        assert np.array_equal(fill_polygons(mask.shape, [np.array(bridged(rings(mask)), float)]), mask)


def test_tools_that_draw_outlines_see_every_pixel_of_ours_and_the_crossing_besides(put, photo):
    mask = np.zeros((7, 10), np.uint8)
    mask[1:6, 1:6], mask[3, 3], mask[2:4, 8:10] = 1, 0, 1
    writer = open_writer("yolo", put.folder, ClassTable.of(["crack"]), {})
    (path,) = writer.write("a.png", Prediction(ClassTable.of(["crack"]), {}, mask, {}, {}, 1.0))
    (line,) = (put.folder / path).read_text().splitlines()
    ring = np.reshape([float(word) for word in line.split()[1:]], (-1, 2)) * (10, 7)
    drawn = np.zeros((7, 10), np.uint8)
    cv2.fillPoly(drawn, [np.round(ring).astype(np.int32)], 1)  # as ultralytics fills a segment: pixels whose centres are corners, edges included
    assert (drawn >= mask).all()
    assert drawn.sum() - mask.sum() <= len(ring) * 10


@pytest.mark.parametrize(
    ("yaml", "names"),
    [
        ("names:\n  0: crack\n  1: no\n", {1: "crack", 2: "no"}),
        ("names: ['crack', \"1.0\"]\nnc: 2", {1: "crack", 2: "1.0"}),
        ("path: /somewhere/else\nnames: {1: rust, 0: crack}", {1: "crack", 2: "rust"}),
        (None, {1: "class 1", 2: "class 2"}),
    ],
)
def test_names_are_read_as_they_are_written(yolo, yaml, names):
    assert read_support(yolo("1 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.2 0.4", yaml=yaml)).support.classes.names == names


def test_an_empty_file_shows_none_and_an_image_without_a_file_is_not_labelled(yolo, put, photo):
    folder = yolo("")
    put("images/b.png", photo)
    support = read_support(folder).support
    assert [example.name for example in support.examples] == ["a"]
    assert [support.examples[0].labels.present(number) for number in (1, 2)] == [False, False]


@pytest.mark.parametrize("entry", ["train/images", "../train/images", "/content/set/train/images", "[train/images]", "train.txt"])
def test_splits_are_found_where_the_folder_has_them(put, photo, entry):
    for part in ("train", "valid"):
        put(f"{part}/images/{part}.png", photo)
        put(f"{part}/labels/{part}.txt", "0 0.5 0.5 0.2 0.4")
    put("train.txt", "./train/images/train.png\n")
    put("data.yaml", f"train: {entry}\nval: valid/images\nnames: [crack]\n")
    assert [example.name for example in read_support(put.folder, split="train").support.examples] == ["train/images/train"]
    assert len(read_support(put.folder).support) == 2


def test_labels_beside_their_images_are_found_with_a_list_of_names(put, photo):
    put("obj.names", "crack\nstain\n")
    put("obj_train_data/a.png", photo)
    put("obj_train_data/a.txt", "1 0.5 0.5 0.2 0.4")
    assert recognise(put.folder) == "yolo"
    assert list(labels(put.folder).boxes) == [2]


def test_a_truth_without_images_is_told_that_shares_need_a_size(put):
    put("labels/a.txt", "0 0.5 0.5 0.2 0.4")
    put("data.yaml", "names: [crack]")
    with pytest.raises(InputError, match="shares of its size"):
        read_truth(put.folder).labels("a.png", (7, 10))


@pytest.mark.parametrize(
    ("text", "yaml", "words"),
    [
        (
            "7 0.5 0.5 0.2 0.4\n-1 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1\n0 1.5 0.5 0.1 0.1\n0 nan 0.5 0.1 0.1\n0 0.5 0.5 0 0.1\ncrack 1 2 3 4",
            "names: [a]",
            "7 problems",
        ),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "names: [a]", "outline of n corners"),
        ("0.5 0.5 0.5 0.2 0.4", "names: [a]", "not made of numbers"),
        ("0 0.5 0.5 0.2 0.4", "names: &a [b]\nother: *a", "aliases"),
        ("0 0.5 0.5 0.2 0.4", "names: [", "not a YAML"),
        ("0 0.5 0.5 0.2 0.4", "names: {x: crack}", "table by number"),
        ("0 0.5 0.5 0.2 0.4", "names: [[1, 2]]", "table by number"),
        ("0 0.5 0.5 0.2 0.4", "names: [a, a]", "two numbers"),
        ("0 0.5 0.5 0.2 0.4", "[names]", "no names"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(yolo, text, yaml, words):
    with pytest.raises(InputError, match=words) as caught:
        read_support(yolo(text, yaml=yaml), format="yolo")
    assert "a.txt" in caught.value.where or "data.yaml" in caught.value.where
