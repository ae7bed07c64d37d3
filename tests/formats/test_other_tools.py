"""What datumaro and Label Studio write is read as it was drawn, and what we write they read as it was drawn (tests/fixtures/formats)."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.data.geometry import fill_polygons
from likewise.formats import read_support, recognise
from likewise.formats.brush_rle import decode_brush
from likewise.formats.rle import decode_mask

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "formats"


def module(name):
    """A script of the fixtures."""
    spec = importlib.util.spec_from_file_location(name, FIXTURES / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, made)
    spec.loader.exec_module(made)
    return made


scene = module("scene")
write_ours = module("write_ours")


def labels_of(name, format):
    """The labels of the one image of an exported set, and its table of classes."""
    folder = FIXTURES / "theirs" / name
    assert recognise(folder) == format
    support = read_support(folder, split="train" if format in ("voc", "yolo") else None).support
    assert [example.name.rpartition("/")[2] for example in support.examples] == ["a"]
    return support.examples[0].labels, support.classes


def shown(labels, classes):
    """(class, mask) of the objects that are told apart."""
    return sorted((classes[number], one.mask(labels.size).tobytes()) for number, listed in labels.instances.items() for one in listed)


def as_drawn():
    return sorted((scene.CLASSES[label], mask.tobytes()) for label, mask in scene.objects())


@pytest.mark.parametrize(("name", "format"), [("voc_masks", "voc"), ("panoptic", "coco-panoptic")])
def test_masks_of_datumaro_are_read_object_by_object_to_every_pixel(name, format):
    labels, classes = labels_of(name, format)
    assert shown(labels, classes) == as_drawn()
    covered = np.logical_or.reduce([mask for _, mask in scene.objects()])
    assert np.array_equal(labels.label_map > 0, covered)


@pytest.mark.parametrize(("name", "format"), [("voc_boxes", "voc"), ("yolo", "yolo")])
def test_boxes_of_datumaro_are_read_with_their_edges(name, format):
    labels, classes = labels_of(name, format)
    for label, box in scene.BOXES:
        assert np.allclose(labels.boxes[classes.number(scene.CLASSES[label])], [box], atol=1e-4)
    assert labels.label_map is None


def test_every_shape_of_cvat_as_datumaro_writes_it_is_read():
    labels, classes = labels_of("cvat", "cvat")
    crack, rust = (classes.number(name) for name in scene.CLASSES)
    polygon = fill_polygons(scene.SIZE, [np.array(scene.POLYGON[1])])
    assert np.array_equal(labels.mask(crack), polygon | scene.objects()[0][1])
    assert labels.boxes[rust].tolist() == [list(scene.BOXES[1][1])]
    assert labels.points[rust][0].tolist() == [list(point) for point in scene.POINTS[1]]
    assert labels.scribbles[crack][0].tolist() == [list(point) for point in scene.LINE[1]]


def test_keypoints_of_coco_stand_in_the_middle_of_their_pixels():
    labels, _ = labels_of("keypoints", "coco")
    assert labels.keypoints == {name: (place[0] + 0.5, place[1] + 0.5) for name, place in scene.KEYPOINTS.items() if place}


@pytest.fixture(scope="module")
def told():
    return json.loads((FIXTURES / "ours.json").read_text())


@pytest.mark.parametrize("name", ["voc", "cvat"])
def test_datumaro_reads_our_masks_as_they_were_drawn(told, name):
    (answers,) = told[name].values()
    masks = [(each["class"], decode_mask(each["counts"], tuple(each["size"])).tobytes()) for each in answers if each["kind"] == "mask"]
    assert sorted(masks) == as_drawn()


def test_datumaro_reads_our_boxes_points_lines_and_tags_as_they_were_drawn(told):
    for name, first in (("yolo", 0), ("cvat_drawn", 0), ("voc_boxes", 1)):  # datumaro takes VOC's numbers as they stand, and VOC counts pixels from 1
        (answers,) = told[name].values()
        boxes = [(each["class"], each["box"]) for each in answers if each["kind"] == "bbox"]
        expected = [(scene.CLASSES[label], [x0 + first, y0 + first, x1, y1]) for label, (x0, y0, x1, y1) in scene.BOXES]
        assert [each[0] for each in boxes] == [each[0] for each in expected]
        assert np.allclose([each[1] for each in boxes], [each[1] for each in expected], atol=1e-4)
    (answers,) = told["cvat_drawn"].values()
    found = {each["kind"]: (each["class"], each.get("points")) for each in answers if each["kind"] != "bbox"}
    flat = [[value for point in drawn[1] for value in point] for drawn in (scene.POINTS, scene.LINE)]
    assert found == {
        "points": (scene.CLASSES[scene.POINTS[0]], flat[0]),
        "polyline": (scene.CLASSES[scene.LINE[0]], flat[1]),
        "label": (scene.CLASSES[scene.TAG], None),
    }


def test_what_was_shown_to_the_other_tools_is_what_is_written_today(tmp_path):
    write_ours.write(tmp_path)
    written = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(FIXTURES / "ours"): path for path in (FIXTURES / "ours").rglob("*") if path.is_file()}
    assert written.keys() == kept.keys()
    for name, path in written.items():
        if path.suffix == ".png":  # compressors differ, pixels do not
            with Image.open(path) as one, Image.open(kept[name]) as other:
                assert one.mode == other.mode
                assert np.array_equal(np.asarray(one), np.asarray(other))
        else:
            assert path.read_bytes() == kept[name].read_bytes()


def test_label_studio_reads_our_strokes_and_we_read_its():
    answer = json.loads((FIXTURES / "brush.json").read_text())
    for (_, mask), written, read in zip(scene.objects(), answer["written"], answer["read"], strict=True):
        assert np.array_equal(decode_brush(written, mask.shape), mask)
        assert read == np.flatnonzero(mask).tolist()
