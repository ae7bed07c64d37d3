"""Every format that is written is read back: what it says to hold comes back whole, and what it cannot hold is told before."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from likewise.data import ClassTable, Example, Instance
from likewise.formats.converting import convert, planned, sheets
from likewise.formats.dataset import Dataset
from likewise.formats.recognise import open_dataset, recognise
from likewise.formats.writing import ENCODERS

CLASSES = ClassTable({1: "crack", 2: "=cmd() <b>&amp;", 4: "Riß: 'x', \"y\""})
NUMBERS = list(CLASSES.numbers)


def dataset_of(folder, examples):
    """A data set of examples whose images are written as PNG of noise."""
    images = {}
    for name, (size, _) in examples.items():
        images[name] = f"{name}.png"
        (folder / images[name]).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(3).integers(0, 255, (*size, 3), np.uint8)).save(folder / images[name])

    def example(name):
        return Example(folder / images[name], name, **examples[name][1])

    return Dataset("made", folder, folder, images, set(examples), example, "made", CLASSES)


def there_and_back(examples, format):
    """The sheets of a data set as they were and as they are read after it was written."""
    with tempfile.TemporaryDirectory() as folder:
        given_set = dataset_of(Path(folder, "in"), examples)
        conversion = planned(given_set, format)
        assert not conversion.lost, conversion.lost
        before = list(sheets(given_set, conversion.names))
        convert(conversion, Path(folder, "out"))
        name = "index-png" if format == "geotiff" else format  # whose masks may be TIFF
        assert format == "folders" or recognise(Path(folder, "out")) == name  # one folder alone is not taken for a folder a class
        read = open_dataset(Path(folder, "out"), name)
        names, _ = read.support_names("all")
        assert format == "folders" or names == sorted(conversion.names)  # there the class is a part of the name
        return before, list(sheets(read, names))


def objects(sheet):
    """What is drawn, in an order that does not depend on the file's."""
    listed = [(sheet.classes[each.number], each.shown.box, each.shown.patch.tobytes()) for each in sheet.objects]
    return sorted(listed)


def named(sheet, field):
    """What a field says of each class, by name, as lists of rounded numbers."""
    given_field = getattr(sheet, field)
    return {sheet.classes[number]: np.round(np.asarray(value, float), 4).tolist() for number, value in given_field.items()}


@st.composite
def pixel_labels(draw, holds):
    """Random objects as far as a format holds them: apart or united, with or without overlaps, holes and ignored pixels."""
    size = draw(st.tuples(st.integers(3, 8), st.integers(3, 9)))
    free = np.ones(size, bool)
    found = {}
    for _ in range(draw(st.integers(0, 4))):
        number, mask = draw(st.sampled_from(NUMBERS)), draw(hnp.arrays(bool, size))
        mask = mask if "overlap" in holds else mask & free
        free &= ~mask
        if mask.any():
            found.setdefault(number, []).append(mask)
    ignored = draw(hnp.arrays(bool, size)) & free if "ignored pixels" in holds else np.zeros(size, bool)
    base = np.where(ignored, -1, 0).astype(np.int16)
    if "instances" in holds and draw(st.booleans()):
        return size, {"label_map": base, "instances": {number: [Instance.of(mask) for mask in masks] for number, masks in found.items()}}
    return size, {"label_map": base, "masks": {number: np.logical_or.reduce(masks) for number, masks in found.items()}}


PIXEL_FORMATS = sorted(name for name, encoder in ENCODERS.items() if "masks" in encoder.holds)


@pytest.mark.parametrize("format", PIXEL_FORMATS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_masks_with_holes_parts_overlaps_and_objects_come_back_to_every_pixel(format, data):
    labels = pixel_labels(ENCODERS[format].holds)
    before, after = there_and_back({"a": data.draw(labels), "sub/b": data.draw(labels)}, format)
    for one, other in zip(before, after, strict=True):
        assert objects(one) == objects(other)
        assert np.array_equal(one.ignored, other.ignored)
        assert [CLASSES[number] for number in NUMBERS if one.mask(number).any()] == [other.classes[n] for n in other.classes if other.mask(n).any()]


def coordinates(size):
    height, width = size
    return st.tuples(st.floats(0, width, width=32), st.floats(0, height, width=32))


@st.composite
def drawn_labels(draw, holds):
    """Boxes, points, scribbles and tags as far as a format holds them."""
    size = draw(st.tuples(st.integers(5, 40), st.integers(5, 50)))
    keys = st.sampled_from(NUMBERS)
    point = coordinates(size)
    low, high = (st.tuples(st.integers(0, 2), st.integers(0, 2)), st.tuples(st.floats(2.5, size[1]), st.floats(2.5, size[0])))
    box = st.tuples(low, high).map(lambda corners: (*map(float, corners[0]), *corners[1]))
    made = {}
    if "boxes" in holds:
        made["boxes"] = draw(st.dictionaries(keys, st.lists(box, min_size=1, max_size=3), max_size=3))
    if "points" in holds:
        points = st.lists(point, min_size=1, max_size=3)
        made["points"] = draw(st.dictionaries(keys, points.map(lambda listed: {"positive": listed}), max_size=3))
    if "scribbles" in holds:
        made["scribbles"] = draw(st.dictionaries(keys, st.lists(st.lists(point, min_size=2, max_size=4), min_size=1, max_size=2), max_size=3))
    if "tags" in holds:
        used = {*made.get("boxes", ()), *made.get("points", ()), *made.get("scribbles", ())}
        values = st.just(True) if "tags of absence" not in holds else st.booleans()
        made["tags"] = {key: value for key, value in draw(st.dictionaries(keys, values, max_size=3)).items() if key not in used}
    if (made.get("points") or made.get("scribbles")) and "background around points" not in holds:
        made["unlabelled"] = "unknown"
    return (size, made) if any(made.values()) else (size, {"label_map": np.zeros(size, np.int16)})


@pytest.mark.parametrize("format", sorted(name for name, encoder in ENCODERS.items() if {"boxes", "points", "tags"} & encoder.holds))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_boxes_points_scribbles_and_tags_come_back(format, data):
    labels = drawn_labels(ENCODERS[format].holds)
    before, after = there_and_back({"a": data.draw(labels), "sub/b": data.draw(labels)}, format)
    for one, other in zip(before, after, strict=True):
        assert named(one, "boxes") == named(other, "boxes")
        positive = [{sheet.classes[n]: np.round(np.asarray(each[0]), 4).tolist() for n, each in sheet.points.items()} for sheet in (one, other)]
        assert positive[0] == positive[1]
        assert _scribbles(one) == _scribbles(other)
        assert _named(one.tags, one) == _named(other.tags, other)
        assert (one.label_map is None) == (other.label_map is None)


def _named(mapping, sheet):
    return {sheet.classes[number]: value for number, value in mapping.items()}


def _scribbles(sheet):
    return {name: [np.round(line, 4).tolist() for line in lines] for name, lines in _named(sheet.scribbles, sheet).items()}
