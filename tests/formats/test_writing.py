"""Writing labels: names, round trips, dense maps, and nothing lost or overwritten by accident."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from likewise.data import ClassTable, Prediction, Target
from likewise.data.classes import palette
from likewise.errors import InputError, OutputError, UsageError
from likewise.formats import FORMATS, open_writer, output_stem, read_support, write_prediction
from likewise.formats.converting import convert, plan
from likewise.formats.dense_files import encode, safe_name
from likewise.formats.files import atomic_file, write_atomic
from likewise.formats.writing import clashing

TABLE = ClassTable({1: "crack", 2: "stain"})


def predicted(labels, photo, table=TABLE, dense=None, targets=None):
    return Prediction(table, targets or {}, labels, {}, dense or {}, 0.5, image=photo)


@pytest.fixture
def labels(mask):
    return np.where(mask == 255, 0, mask).astype(np.uint8)


@pytest.mark.parametrize("format", [each.name for each in FORMATS if each.writes and each.name not in ("csv", "folders", "examples", "geotiff")])
def test_what_is_written_is_read_back_as_a_support_to_every_pixel(put, photo, labels, format):
    names = ["deep/a.png", "b.jpg"]
    writer = open_writer(format, put.folder, TABLE, {}, names=names)
    for name in names:
        put(name, photo)
        assert set(writer.write(name, predicted(labels, photo))) <= set(writer.planned(name))
    for path in writer.finish():
        assert (put.folder / path).is_file()
    if format == "index-png":  # the image a.png and its labels a.png cannot share a folder
        for name in names:
            put(f"set/images/{name}", photo)
            (put.folder / "set/masks" / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(put.folder / f"{output_stem(name)}.png", put.folder / "set/masks" / f"{output_stem(name)}.png")
        os.replace(put.folder / "classes.json", put.folder / "set/classes.json")
        put.folder = put.folder / "set"
    read = read_support(put.folder, format=format)
    assert read.support.classes == TABLE
    assert sorted(example.name for example in read.support.examples) == ["b", "deep/a"]
    assert all(np.array_equal(example.labels.label_map, labels) for example in read.support.examples)


def test_the_palette_png_shows_the_colours_of_the_classes(put, photo, labels):
    (path,) = write_prediction(predicted(labels, photo), put.folder / "x.png")
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), labels)
        assert np.array_equal(np.asarray(image.convert("RGB")), palette()[labels])


def test_large_class_numbers_are_written_with_16_bits_and_their_ignore_value(put, photo):
    table = ClassTable({number: f"class {number}" for number in range(1, 400) if number != 255})
    values = np.zeros((7, 10), np.int16)
    values[1, 1], values[2, 2] = 399, -1
    put("x.jpg", photo)
    writer = open_writer("index-png", put.folder, table, {})
    writer.write("x.jpg", predicted(values, photo, table))
    writer.finish()
    assert np.array_equal(read_support(put.folder).support.examples[0].labels.label_map, values)


def test_images_that_differ_in_their_ending_alone_get_labels_of_different_names(put, photo, labels):
    names = ["a.jpg", "a.png", "b.jpg", "run.jpg", "sub/a.jpg", "c.jpg", "c.depth.jpg"]
    writer = open_writer("index-png", put.folder, TABLE, {"depth": Target()}, names=names, overlay=True)
    dense = {"depth": np.full((7, 10), 900.0, np.float32)}
    written = [path for name in names for path in writer.write(name, predicted(labels, photo, dense=dense))]
    assert len(set(written)) == len(written) == 4 * len(names)
    assert {path.as_posix() for path in written} >= {"a.jpg.png", "a.png.png", "b.png", "run.jpg.png", "sub/a.png", "c.png", "c.depth.jpg.png", "b.overlay.jpg"}
    assert clashing(["A.jpg", "a.png"]) == {"A.jpg", "a.png"}


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "b/../../a.png", ""])
def test_a_name_that_leads_out_of_the_folder_is_refused(name):
    with pytest.raises(OutputError, match="inside the output folder"):
        output_stem(name)


def test_depth_in_millimetres_is_a_16_bit_png_and_is_read_back_from_beside_the_image(put, photo, labels):
    depth = np.linspace(400, 4000, 70, dtype=np.float32).reshape(7, 10)
    depth[0, 0] = np.nan
    targets = {"depth": Target("mm")}
    put("x.jpg", photo)
    writer = open_writer("index-png", put.folder, TABLE, targets)
    files = writer.write("x.jpg", predicted(labels, photo, dense={"depth": depth}, targets=targets))
    writer.finish()
    assert [path.name for path in files] == ["x.png", "x.depth.png", "x.depth.json"]
    with Image.open(put.folder / "x.depth.png") as image:
        assert np.array_equal(np.asarray(image).ravel()[1:], np.rint(depth).ravel()[1:])
    support = read_support(put.folder).support
    back = support.examples[0].labels.dense["depth"][:, :, 0]
    assert support.targets["depth"].unit == "mm"
    assert np.isnan(back[0, 0])
    assert np.nanmax(np.abs(back - depth)) <= 0.5


@given(st.floats(-1000, 1000), st.floats(0.001, 5000), st.sampled_from([(1, 1), (3, 5)]), st.booleans(), st.sampled_from([1.0, 0.25, 0.001]))
def test_a_dense_map_comes_back_within_half_a_step_or_exactly(low, span, size, ranged, scale):
    import tempfile
    from pathlib import Path

    from likewise.formats.dense_files import described
    from likewise.formats.maps import read_dense

    values = (low + span * np.random.default_rng(1).random(size)).astype(np.float32)
    target = Target("u", scale=scale, range=(low - 1, low + span + 1) if ranged else None)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in encode("x", "heat", values, target).items():
            (Path(folder) / name).write_bytes(content)
        _, encoding, path = described(Path(folder))["x"]["heat"]
        back = read_dense(path, encoding)
    step = encoding.scale if path.suffix == ".png" else 0.0
    assert np.abs(back - values).max() <= 0.51 * step + 1e-4 * np.abs(values).max()
    assert path.suffix == ".npy" or ranged or 0.5 * step <= 0.005 * np.median(np.abs(values)) + 1e-6


@pytest.mark.parametrize(
    ("values", "target", "ending"),
    [
        (np.full((2, 3), 1500.0), Target("mm"), ".png"),
        (np.full((2, 3), 1.5), Target("m"), ".npy"),
        (np.full((2, 3), 1.5), Target("m", scale=0.001), ".png"),
        (np.full((2, 3), -5.0), Target("deg"), ".npy"),
        (np.full((2, 3), -5.0), Target("deg", range=(-20, 40)), ".png"),
        (np.full((2, 3), 70_000.0), Target("mm"), ".npy"),
        (np.full((2, 3), np.nan), Target("mm"), ".png"),
        (np.zeros((2, 3, 3)), Target(kind="unit_vector"), ".npy"),
        (np.full((2, 3, 1), 1500.0), Target("mm"), ".png"),
    ],
)
def test_a_png_is_chosen_where_it_loses_next_to_nothing(values, target, ending):
    files = encode("x", "some thing", values, target)
    assert list(files) == [f"x.some_thing{ending}", "x.some_thing.json"]
    assert json.loads(files["x.some_thing.json"])["target"] == "some thing"
    assert safe_name("a/b") == "a_b"


def test_a_dense_map_alone_makes_a_support(put, photo):
    targets = {"n": Target(kind="unit_vector")}
    normals = np.zeros((7, 10, 3), np.float32)
    normals[:, :, 2] = -1
    put("x.jpg", photo)
    nothing = ClassTable({})
    writer = open_writer("index-png", put.folder, nothing, targets, overlay=True)
    files = writer.write("x.jpg", predicted(np.zeros((7, 10), np.uint8), photo, nothing, {"n": normals}, targets))
    assert [path.name for path in files] == ["x.n.npy", "x.n.json", "x.overlay.jpg"]
    assert writer.finish() == []
    read = read_support(put.folder)
    assert np.array_equal(read.support.examples[0].labels.dense["n"], normals)
    assert read.support.targets["n"].kind == "unit_vector"


def test_a_dense_map_without_any_class_stands_in_examples_json_too(put, photo):
    targets = {"depth": Target("mm")}
    put("images/x.jpg", photo)
    writer = open_writer("examples", put.folder, ClassTable({}), targets)
    writer.write("x.jpg", predicted(np.zeros((7, 10), np.uint8), photo, ClassTable({}), {"depth": np.linspace(1, 9, 70).reshape(7, 10)}, targets))
    writer.finish()
    read = read_support(put.folder, format="examples").support
    assert read.targets["depth"].unit == "mm"
    assert np.array_equal(read.examples[0].labels.dense["depth"][:, :, 0], np.linspace(1, 9, 70, dtype=np.float32).reshape(7, 10))


def test_one_prediction_is_written_by_the_ending_of_its_path(put, photo, labels):
    prediction = predicted(labels, photo, dense={"depth": np.full((7, 10), 800.0)}, targets={"depth": Target("mm")})
    assert [path.name for path in write_prediction(prediction, put.folder / "a.png")] == ["a.png", "a.depth.png", "a.depth.json"]
    assert next(path.name for path in write_prediction(prediction, str(put.folder / "b.json"))) == "b.json"
    with pytest.raises(UsageError, match=r"index-png is written to a .png"):
        write_prediction(prediction, put.folder / "a.jpg")
    with pytest.raises(UsageError, match="did you mean 'labelme'"):
        write_prediction(prediction, put.folder / "a.json", "labelmee")
    with pytest.raises(UsageError, match="read, not written"):
        open_writer("coco-panoptic", put.folder, TABLE, {})


def test_the_image_itself_is_never_written_over(put, photo, labels):
    path = put("a.png", photo)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="image itself"):
        write_prediction(predicted(labels, path), put.folder / "." / "a.png")
    assert path.read_bytes() == before


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "sub" / "a.txt"
    write_atomic(path, b"before")

    def fail():
        with atomic_file(path) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path / "sub") == ["a.txt"]
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(tmp_path / "sub" / "a.txt" / "b", b"")


@pytest.mark.parametrize(
    ("side", "words"),
    [
        ({"likewise": 1, "target": "heat", "file": "x.heat.png", "unti": "m"}, "did you mean 'unit'"),
        ({"likewise": 1, "target": "cold", "file": "x.heat.png"}, "Name it NAME.cold.json"),
    ],
)
def test_side_files_that_make_no_sense_are_refused(put, photo, side, words):
    from likewise.errors import InputError

    put("x.jpg", photo)
    put("x.heat.png", np.ones((7, 10), np.uint16))
    put("x.heat.json", side)
    with pytest.raises(InputError, match=words):
        read_support(put.folder, format="index-png")


@pytest.mark.parametrize("format", [each.name for each in FORMATS if each.writes and each.name not in ("csv", "folders")])
def test_a_file_name_that_is_no_text_is_written_and_read_back_or_refused_by_name(put, photo, labels, format):
    name = os.fsdecode(b"x\xe9.png")  # Latin-1, as old archives have it
    put(f"images/{name}", photo)
    put(f"masks/{name}", labels)
    put("dataset.json", {"classes": {"1": "crack", "2": "stain"}, "split": {"support": ["x\udce9"]}})
    if format in ("cvat", "voc"):
        with pytest.raises(InputError, match=r"x\\xe9"):
            convert(plan(put.folder, format), put.folder / "out")
        return
    convert(plan(put.folder, format), put.folder / "out")
    (example,) = read_support(put.folder / "out", format="index-png" if format == "geotiff" else format, split="support").support.examples
    assert os.fsencode(example.image).endswith(b"/x\xe9.png")
    assert np.array_equal(example.labels.label_map, labels)
