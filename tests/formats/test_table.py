"""The table in docs/formats: every "yes" comes back when it is written and read again, every "in" has a test that reads it."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from test_round_trips import CLASSES, Instance, there_and_back

from likewise.formats import FORMATS
from likewise.formats.converting import SETS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "README.md"
SIZE = (6, 9)


def _area(*windows):
    mask = np.zeros(SIZE, bool)
    for rows, columns in windows:
        mask[rows, columns] = True
    return mask


RING = _area((slice(1, 5), slice(1, 6)), (slice(0, 1), slice(8, 9)))
RING[2, 3] = False
EMPTY = np.zeros(SIZE, np.int16)
LEFT, RIGHT = _area((slice(1, 4), slice(0, 3))), _area((slice(1, 4), slice(3, 7)))

# column of the table -> what it is called in `Sheet.needs`, and labels that need it and nothing else but masks
COLUMNS = {
    "masks": ("masks", {"masks": {1: LEFT}}),
    "holes, parts": ("holes", {"masks": {1: RING}}),
    "overlaps": ("overlap", {"masks": {1: LEFT | RIGHT, 2: RIGHT}}),
    "objects": ("instances", {"label_map": EMPTY, "instances": {1: [Instance.of(LEFT), Instance.of(RIGHT)]}}),
    "ignored": ("ignored pixels", {"label_map": np.where(LEFT, -1, EMPTY)}),
    "boxes": ("boxes", {"boxes": {1: [(1.0, 2.0, 5.5, 6.0)]}}),
    "points": ("points", {"unlabelled": "unknown", "points": {1: {"positive": [(1.5, 2.25)]}}}),
    "points off": ("negative points", {"unlabelled": "unknown", "points": {1: {"positive": [], "negative": [(1.5, 2.25)]}}}),
    "scribbles": ("scribbles", {"unlabelled": "unknown", "scribbles": {2: [[(1.0, 2.0), (8.5, 3.0)]]}}),
    "tags": ("tags", {"tags": {4: True}}),
    "absent": ("tags of absence", {"tags": {4: False}}),
    "keypoints": ("keypoints", {"keypoints": {"tip": (1.5, 2.5), "root": None}}),
    "dense": ("dense", {"dense": {"height": np.linspace(0.1, 2, 54).reshape(SIZE)}}),
    "class": ("class of the image", {"label": 1}),
}

READ_BY = {  # "in": what is read and not written
    ("coco", "keypoints"): "test_coco:test_keypoints_of_two_objects_in_one_image_are_left_alone_and_of_one_are_read",
    ("coco-panoptic", "masks"): "test_other_tools:test_masks_of_datumaro_are_read_object_by_object_to_every_pixel",
    ("coco-panoptic", "holes, parts"): "test_other_tools:test_masks_of_datumaro_are_read_object_by_object_to_every_pixel",
    ("coco-panoptic", "objects"): "test_other_tools:test_masks_of_datumaro_are_read_object_by_object_to_every_pixel",
    ("coco-panoptic", "ignored"): "test_coco_panoptic:test_segments_are_objects_and_what_is_in_none_is_ignored",
    ("good", "absent"): "test_good_images:test_each_image_says_that_the_one_class_is_absent",
}

ORACLES = {
    "coco": ("pycocotools", "test_coco:test_written_annotations_are_valid_for_pycocotools_and_read_back_to_every_pixel"),
    "coco-panoptic": ("datumaro", "test_other_tools:test_masks_of_datumaro_are_read_object_by_object_to_every_pixel"),
    "voc": ("datumaro", "test_other_tools:test_datumaro_reads_our_masks_as_they_were_drawn"),
    "yolo": ("datumaro (boxes), OpenCV's fill", "test_yolo:test_tools_that_draw_outlines_see_every_pixel_of_ours_and_the_crossing_besides"),
    "cvat": ("datumaro", "test_other_tools:test_every_shape_of_cvat_as_datumaro_writes_it_is_read"),
    "label-studio": ("label-studio-converter (strokes)", "test_other_tools:test_label_studio_reads_our_strokes_and_we_read_its"),
    "geotiff": ("rasterio", "test_geotiff:test_rasterio_finds_the_mask_where_the_picture_is"),
    "index-png": ("Pillow", "test_writing:test_the_palette_png_shows_the_colours_of_the_classes"),
}


def cell(format, column):
    """What stands in a cell of the table."""
    if format in SETS and COLUMNS[column][0] in SETS[format].holds:
        return "yes"
    return "in" if (format, column) in READ_BY else ""


def rows():
    """The table as it must stand in the page."""
    yield "| format | read | written | " + " | ".join(COLUMNS) + " | asked besides |"
    yield "|---" * (len(COLUMNS) + 4) + "|"
    for each in FORMATS:
        cells = [cell(each.name, column) for column in COLUMNS]
        oracle = ORACLES.get(each.name, ("", ""))[0]
        yield f"| `{each.name}` | {'yes' if each.reads else ''} | {'yes' if each.writes else ''} | " + " | ".join(cells) + f" | {oracle} |"


def test_the_table_of_the_page_is_what_the_formats_say_of_themselves():
    page = PAGE.read_text(encoding="utf-8")
    assert "\n".join(rows()) in page


@pytest.mark.parametrize(("format", "column"), [(each.name, column) for each in FORMATS for column in COLUMNS if cell(each.name, column) == "yes"])
def test_what_the_table_says_comes_back(format, column):
    need, labels = COLUMNS[column]
    (before,), (after,) = there_and_back({"a": (SIZE, labels)}, format)
    assert need in before.needs() & after.needs()
    for number, other in _same_classes(before, after):
        assert np.array_equal(before.mask(number), after.mask(other))
        assert [each.box for each in before.instances.get(number, ())] == [each.box for each in after.instances.get(other, ())] or need != "instances"
        assert np.allclose(before.boxes.get(number, []), after.boxes.get(other, []))
        assert np.allclose(_points(before, number), _points(after, other))
        assert np.allclose(before.scribbles.get(number, []), after.scribbles.get(other, []))
        assert before.tags.get(number) == after.tags.get(other) or need not in ("tags", "tags of absence")
    assert np.array_equal(before.ignored, after.ignored) or need != "ignored pixels"
    assert before.keypoints == after.keypoints
    assert all(np.allclose(values[..., 0], after.dense[name][..., 0], rtol=0.005) for name, values in before.dense.items())
    assert (before.label is None) == (after.label is None)
    assert before.label is None or before.classes[before.label] == after.classes[after.label]


def _same_classes(before, after):
    return [(before.classes.number(name), number) for number, name in after.classes.names.items()]


def _points(sheet, number):
    return [point for listed in sheet.points.get(number, ()) for point in listed]


@pytest.mark.parametrize("place", sorted({*READ_BY.values(), *(place for _, place in ORACLES.values())}))
def test_the_tests_that_the_table_names_are_there(place):
    module, _, name = place.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_every_format_that_is_written_has_a_row_of_things_it_holds():
    named = {need for need, _ in COLUMNS.values()} | {"unknown pixels", "background around points"}
    assert all(encoder.holds <= named for encoder in SETS.values())
    assert re.search(r"\| `examples` \| yes \| yes \|( yes \|){14}", "\n".join(rows()))
    assert set(CLASSES.numbers) == {1, 2, 4}
