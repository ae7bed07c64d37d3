"""labelme both ways: every shape, embedded images, and outlines that lose no pixel."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from likewise.data import ClassTable, LabelKind, Prediction
from likewise.data.geometry import fill_polygons
from likewise.errors import InputError
from likewise.formats import list_images, open_writer, read_support, read_truth, recognise, write_prediction
from likewise.formats.labelme_writer import encode
from likewise.formats.outline import outline
from likewise.formats.sheet import of_prediction


def png(values):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def shape(kind, points, label="crack", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def file(shapes, **more):
    return {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "a.png", "imageData": None, "imageHeight": 7, "imageWidth": 10} | more


@pytest.fixture
def read(put, photo):
    def reader(shapes, **more):
        put("a.png", photo)
        put("a.json", file(shapes, **more))
        return read_support(put.folder).support

    return reader


def test_a_polygon_is_a_mask_of_the_pixels_inside_it(read):
    support = read([shape("polygon", [[1, 1], [5, 1], [5, 4], [1, 4]]), shape("polygon", [[7, 5], [9, 5], [9, 7], [7, 7]])])
    expected = np.zeros((7, 10), bool)
    expected[1:4, 1:5] = expected[5:7, 7:9] = True
    assert np.array_equal(support.examples[0].labels.mask(1), expected)
    assert support.classes[1] == "crack"


def test_a_rectangle_is_a_box_whatever_corner_it_was_begun_at(read):
    labels = read([shape("rectangle", [[6.5, 5], [2, 1]]), shape("rectangle", [[0, 0], [3, 0], [3, 2], [0, 2]])]).examples[0].labels
    assert labels.kinds() == {LabelKind.BOX}
    assert labels.boxes[1].tolist() == [[2, 1, 6.5, 5], [0, 0, 3, 2]]


def test_a_circle_is_the_disc_around_its_centre(read):
    mask = read([shape("circle", [[5, 3], [5, 5.2]])]).examples[0].labels.mask(1)
    expected = [[(column + 0.5 - 5) ** 2 + (row + 0.5 - 3) ** 2 <= 2.2**2 for column in range(10)] for row in range(7)]
    assert np.array_equal(mask, expected)


def test_a_mask_is_pasted_at_its_box(read):
    patch = np.array([[1, 0, 1], [1, 1, 1]], np.uint8) * 255
    mask = read([shape("mask", [[6, 4], [8, 5]], mask=png(patch))]).examples[0].labels.mask(1)
    assert np.array_equal(mask[4:6, 6:9], patch > 0)
    assert mask.sum() == 5


def test_a_polygon_inside_another_of_its_group_is_a_hole_and_others_are_united(read):
    outer, hole, island = ([[low, low], [high, low], [high, high], [low, high]] for low, high in ((0, 7), (1, 6), (3, 4)))
    across = [[6, 2], [9, 2], [9, 4], [6, 4]]
    shapes = [shape("polygon", ring, group_id=3) for ring in (hole, outer, across, island)]
    labels = read([*shapes, shape("polygon", [[8, 5], [10, 5], [10, 7], [8, 7]])]).examples[0].labels
    expected = np.zeros((7, 10), bool)
    expected[0:7, 0:7], expected[1:6, 1:6], expected[3, 3], expected[2:4, 6:9] = True, False, True, True
    one, other = labels.instances[1]
    assert np.array_equal(one.mask((7, 10)), expected)
    assert other.box == (8, 5, 10, 7)


def test_points_and_lines_are_sparse_labels_that_leave_the_rest_unknown(read):
    labels = (
        read([shape("point", [[3, 2]]), shape("linestrip", [[0, 0], [4, 4], [9.9, 5]], "stain"), shape("line", [[1, 1], [-2, 5]], "stain")]).examples[0].labels
    )
    assert labels.kinds() == {LabelKind.POINT, LabelKind.SCRIBBLE}
    assert labels.points[1][0].tolist() == [[3, 2]]
    assert [len(line) for line in labels.scribbles[2]] == [3, 2]
    assert labels.scribbles[2][1].tolist() == [[1, 1], [0, 5]]
    assert labels.unlabelled == "unknown"


def test_flags_are_tags_unless_the_class_is_drawn(read):
    support = read([shape("rectangle", [[1, 1], [3, 4]])], flags={"rust": True, "hole": False, "crack": False, "__ignore__": False})
    assert dict(support.classes.names) == {1: "crack", 2: "hole", 3: "rust"}
    assert support.examples[0].labels.tags == {2: False, 3: True}


def test_ignored_and_background_shapes_are_painted_in_their_order(read):
    whole = [[0, 0], [6, 0], [6, 6], [0, 6]]
    shapes = [shape("polygon", whole), shape("rectangle", [[0, 0], [2, 6]], "__ignore__"), shape("rectangle", [[4, 0], [6, 6]], "_background_")]
    got = read(shapes).examples[0].labels.label_map
    assert got[2].tolist() == [-1, -1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_the_inside_of_a_box_is_not_background_where_others_are_outlined(read):
    labels = read([shape("polygon", [[0, 0], [2, 0], [2, 2], [0, 2]]), shape("rectangle", [[5, 1], [8, 4]], "stain")]).examples[0].labels
    assert (labels.label_map[1:4, 5:8] == -1).all()
    assert (labels.label_map[:2, :2] == 1).all()


def test_an_image_without_shapes_shows_none_of_the_classes(read):
    assert (read([]).examples[0].labels.label_map == 0).all()


def test_the_image_may_be_embedded(put, photo):
    put("a.json", file([shape("point", [[3, 2]])], imagePath="gone.png", imageData=png(photo)))
    example = read_support(put.folder).support.examples[0]
    assert np.array_equal(np.asarray(example.image), photo)


@pytest.mark.parametrize("written", ["a.png", "..\\images\\a.png", "../images/a.png", "other/place/a.png", ""])
def test_the_image_is_found_where_the_file_says_or_beside_it(put, photo, written):
    put("images/a.png" if "images" in written else "labels/a.png", photo)
    put("labels/a.json", file([], imagePath=written))
    put("labels.txt", "__ignore__\n_background_\nrust\ncrack\n")
    read = read_support(put.folder)
    assert read.format == recognise(put.folder) == "labelme"
    assert [example.name for example in read.support.examples] == ["labels/a"]
    assert dict(read.support.classes.names) == {1: "rust", 2: "crack"}


def test_a_folder_of_labelme_files_lists_all_its_images(put, photo):
    put("a.png", photo)
    put("b.jpg", photo)
    put("a.json", file([]))
    assert [entry.name for entry in list_images(put.folder).entries] == ["a.png", "b.jpg"]
    assert [entry.name for entry in list_images(put.folder, format="labelme").entries] == ["a.png", "b.jpg"]
    assert len(read_support(put.folder / "a.json").support) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            file(
                [
                    shape("polygon", [[1, 1], [2, 2]]),
                    shape("point", []),
                    shape("mask", [[1, 1], [2, 2]]),
                    shape("line", [[1, 1], [2, 1e8]]),
                    shape("point", [[1, 1]], " "),
                ]
            ),
            "5 problems",
        ),
        (file([shape("hexagon", [[1, 1]])]), "shapes.0..shape_type"),
        (file([shape("rectangle", [[1, 1], [1, 5]])]), "rectangle is empty"),
        (file([shape("mask", [[8, 5], [9, 6]], mask=png(np.ones((4, 5), np.uint8)))]), "does not fit"),
        (file([shape("mask", [[8, 5], [9, 6]], mask="!")]), "base64|not an image"),
        (file([], imagePath="../../../etc/passwd"), "outside"),
        (file([], imagePath="a" * 300 + ".png"), "no name of a file"),
        (file([], imageHeight=10**6, imageWidth=10**6), "pixels"),
        (file([], imageHeight=10, imageWidth=7), "7x10, its image 10x7"),
    ],
)
def test_files_that_cannot_be_used_are_refused(put, photo, content, words):
    if "passwd" not in content["imagePath"]:
        put("a.png", photo)
    put("a.json", content)
    with pytest.raises(InputError, match=words) as caught:
        read_support(put.folder)
    assert "a" in caught.value.where


@pytest.mark.parametrize(("data", "words"), [("!!!", "not an image|base64"), (base64.b64encode(b"no image").decode(), "not an image"), (None, "not there: a")])
def test_an_image_that_is_nowhere_is_told(put, data, words):
    put("a.json", file([], imageData=data))
    with pytest.raises(InputError, match=words):
        read_support(put.folder)


@given(hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 9))))
def test_filling_the_outline_of_a_part_gives_the_part_with_its_holes_filled(mask):
    parts, count = ndimage.label(mask)
    for part in range(1, count + 1):
        one = parts == part
        ring = np.array(outline(one), float)
        assert np.array_equal(fill_polygons(mask.shape, [ring]), ndimage.binary_fill_holes(one, np.ones((3, 3))))


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_any_label_map_is_read_back_to_every_pixel(labels):
    import json
    import tempfile
    from pathlib import Path

    table = ClassTable({1: "a", 2: "b", 3: "c"})
    content = encode("x", of_prediction("x.png", Prediction(table, {}, labels, {}, {}, 1.0)))["x.json"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.json").write_bytes(content)
        (Path(folder) / "classes.json").write_text(json.dumps({"1": "a", "2": "b", "3": "c"}))
        got = read_truth(folder).labels("x", size=labels.shape)
    assert np.array_equal(got.label_map, labels)


def test_a_part_with_a_hole_is_written_as_a_mask_and_others_as_polygons(put, photo, mask):
    labels = np.where(mask == 255, 0, mask).astype(np.uint8)
    prediction = Prediction(ClassTable({1: "crack", 2: "stain"}), {}, labels, {}, {}, 1.0, image=photo)
    put("sub/a.png", photo)
    writer = open_writer("labelme", put.folder, prediction.classes, {})
    assert [path.as_posix() for path in writer.write("sub/a.png", prediction)] == ["sub/a.json"]
    writer.finish()
    import json

    shapes = json.loads((put.folder / "sub" / "a.json").read_text())["shapes"]
    assert [(each["label"], each["shape_type"]) for each in shapes] == [("crack", "polygon"), ("stain", "mask"), ("stain", "polygon")]
    support = read_support(put.folder).support
    assert support.classes == prediction.classes
    assert np.array_equal(support.examples[0].labels.label_map, labels)
    assert write_prediction(prediction, put.folder / "one.json") == [put.folder / "one.json"]
