"""Label Studio: every result, whose annotation counts, the places of images, and what cannot be used."""

import json

import numpy as np
import pytest

from likewise.data import ClassTable, LabelKind, Prediction
from likewise.data.geometry import fill_polygons
from likewise.errors import InputError
from likewise.formats import open_writer, read_support, read_truth, recognise
from likewise.formats.brush_rle import decode_brush, encode_brush


def result(kind, value, label="crack", **more):
    return {"type": kind, "value": value | {kind: [label]}, "original_width": 10, "original_height": 7, "image_rotation": 0} | more


def task(*results, image="/data/upload/3/0a1b2c3d-a.png", **more):
    return {"id": 5, "data": {"image": image}, "annotations": [{"result": list(results), "was_cancelled": False}]} | more


@pytest.fixture
def read(put, photo):
    def reader(*tasks):
        put("images/a.png", photo)
        put("export.json", list(tasks))
        return read_support(put.folder).support

    return reader


def test_strokes_and_outlines_are_masks_and_each_an_object(read):
    mask = np.zeros((7, 10), bool)
    mask[2:5, 3:9], mask[3, 5] = True, False
    corners = [[10, 0], [50, 0], [50, 100 * 3 / 7], [10, 100 * 3 / 7]]
    support = read(
        task(
            result("brushlabels", {"format": "rle", "rle": encode_brush(mask)}),
            result("polygonlabels", {"points": corners}, "stain"),
            result("ellipselabels", {"x": 80, "y": 600 / 7, "radiusX": 20, "radiusY": 100 / 7, "rotation": 0}, "stain"),
            {"type": "textarea", "value": {"text": ["nice"]}},
        )
    )
    labels = support.examples[0].labels
    assert support.classes.names == {1: "crack", 2: "stain"}
    assert np.array_equal(labels.mask(1), mask)
    disc = np.array([[((x + 0.5 - 8) / 2) ** 2 + (y + 0.5 - 6) ** 2 <= 1 for x in range(10)] for y in range(7)])
    assert np.array_equal(labels.mask(2), fill_polygons((7, 10), [np.array([(1, 0), (5, 0), (5, 3), (1, 3.0)])]) | disc)
    assert [len(labels.instances[number]) for number in (1, 2)] == [1, 2]


def test_rectangles_points_and_choices_are_boxes_points_and_tags(read):
    support = read(
        task(
            result("rectanglelabels", {"x": 20, "y": 100 / 7, "width": 30, "height": 200 / 7, "rotation": 0}),
            result("rectanglelabels", {"x": 50, "y": 0, "width": 20, "height": 100 / 7, "rotation": 90}),
            result("keypointlabels", {"x": 35, "y": 50, "width": 0.3}, "stain"),
            {"type": "choices", "value": {"choices": ["rust", "crack"]}},
        )
    )
    labels = support.examples[0].labels
    assert labels.kinds() == {LabelKind.BOX, LabelKind.POINT, LabelKind.TAG}
    assert np.allclose(labels.boxes[1], [[2, 1, 5, 3], [4, 0, 5, 2]])
    assert np.allclose(labels.points[3][0], [[3.5, 3.5]])
    assert labels.tags == {2: True}


def test_the_annotation_that_counts_is_the_ground_truth_else_the_last_that_was_not_cancelled(read):
    def said(label, **more):
        return {"result": [result("rectanglelabels", {"x": 20, "y": 20, "width": 30, "height": 30}, label)]} | more

    def classes(*annotations, **more):
        return [*read(task(annotations=list(annotations), **more)).classes.names.values()]

    assert classes(said("a"), said("b"), said("c", was_cancelled=True)) == ["b"]
    assert classes(said("a", ground_truth=True), said("b")) == ["a"]
    assert classes(predictions=[said("p")]) == ["p"]
    assert classes(said("a"), predictions=[said("p")]) == ["a"]


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/0a1b2c3d-a.png",
        "/data/local-files/?d=set/images/a.png",
        "https://host.example/x/a.png?key=1",
        "s3://bucket/images/a.png",
        "C:\\pictures\\a.png",
    ],
)
def test_the_image_is_found_by_the_end_of_its_address(read, address):
    support = read(task(result("keypointlabels", {"x": 35, "y": 50}), image=address))
    assert [example.name for example in support.examples] == ["a"]


def test_a_task_without_a_result_shows_none_and_one_without_an_annotation_is_not_labelled(read, put, photo):
    put("images/b.png", photo)
    put("images/c.png", photo)
    support = read(task(result("polygonlabels", {"points": [[1, 1], [50, 1], [50, 50]]})), task(image="b.png"), task(image="c.png", annotations=[]))
    assert [example.name for example in support.examples] == ["a", "b"]
    assert support.examples[1].labels.present(1) is False


def test_a_truth_needs_no_images(put):
    path = put("export.json", [task(result("keypointlabels", {"x": 35, "y": 50}))])
    assert recognise(path) == "label-studio"
    assert read_truth(path).labels("a.png", (7, 10)).points[1][0].tolist() == [[3.5, 3.5]]


def test_what_a_task_of_ours_says_is_a_prediction_with_a_score(put, mask):
    table = ClassTable.of(["crack", "stain"])
    labels = np.where(mask == 255, 0, mask)
    writer = open_writer("label-studio", put.folder, table, {})
    writer.write("sub/a b.png", Prediction(table, {}, labels, {}, {}, 0.5, {"crack": 0.25}))
    assert [path.name for path in writer.finish()] == ["tasks.json", "label_config.xml"]
    (written,) = json.loads((put.folder / "tasks.json").read_text())
    assert written["data"]["image"].endswith("images/sub/a%20b.png")
    assert "annotations" not in written
    (prediction,) = written["predictions"]
    assert prediction["score"] == 0.25
    for each, number in zip(prediction["result"], (1, 2), strict=True):
        assert each["value"]["brushlabels"] == [table[number]]
        assert np.array_equal(decode_brush(each["value"]["rle"], (each["original_height"], each["original_width"])), labels == number)
    config = (put.folder / "label_config.xml").read_text()
    assert {each["from_name"] for each in prediction["result"]} == {"brush"}
    assert '<BrushLabels name="brush" toName="image">' in config


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            task(
                result("rectanglelabels", {"x": 20, "y": 20, "width": 30}),
                result("polygonlabels", {"points": [[1, 2], [3, 4]]}),
                result("polygonlabels", {"points": [[1, 2], [3, 4], [5]]}),
                result("keypointlabels", {"x": "left", "y": 1}),
                result("brushlabels", {"format": "png"}),
                result("keypointlabels", {"x": 1, "y": 1}, image_rotation=90),
            ),
            "6 problems",
        ),
        (task(result("brushlabels", {"format": "rle", "rle": [0, 0, 0, 1, 2]})), "hold 1 values"),
        (task(result("brushlabels", {"format": "rle", "rle": [0, 0, 1, 24]})), "end early"),
        (task(result("brushlabels", {"format": "rle", "rle": [300]})), "no bytes"),
        (task(result("rectanglelabels", {"x": 120, "y": 20, "width": 30, "height": 2})), "outside the image"),
        (task(result("keypointlabels", {"x": 1, "y": 1}, original_width=10**6, original_height=10**6)), "pixels"),
        (task(result("keypointlabels", {"x": 1, "y": 1}), result("keypointlabels", {"x": 1, "y": 1}, original_width=11)), "2 sizes"),
        (task(image=""), "names no image"),
        (task(image="a" * 300 + ".png"), "no name of a file"),
        (task(image="/data/local-files/?d=../.."), "names no image"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(put, photo, entry, words):
    put("images/a.png", photo)
    put("export.json", [entry])
    with pytest.raises(InputError, match=words) as caught:
        read_support(put.folder, format="label-studio")
    assert "export.json" in caught.value.where


def test_two_tasks_of_one_image_are_refused(read):
    with pytest.raises(InputError, match=r"two tasks have the image 'a\.png'"):
        read(task(image="a.png"), task(image="images/a.png"))


def test_an_address_never_leads_out_of_the_folder(put, photo):
    put("secret.png", photo)
    put("set/images/b.png", photo)
    put("set/export.json", [task(image="../../secret.png")])
    with pytest.raises(InputError, match="not there: secret"):
        read_support(put.folder / "set")
