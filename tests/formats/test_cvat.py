"""CVAT for images: every shape, the places of images, and what cannot be used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from likewise.data import LabelKind
from likewise.data.geometry import fill_polygons
from likewise.errors import InputError
from likewise.formats import read_support, read_truth, recognise
from likewise.formats.cvat_writer import run_lengths

LABELS = "<meta><task><labels><label><name>stain</name></label><label><name>crack</name><type>any</type></label></labels></task></meta>"
SKELETON = (
    "<meta><project><labels><label><name>mouse</name><type>skeleton</type></label><label><name>nose</name><parent>mouse</parent></label>"
    "<label><name>crack</name></label></labels></project></meta>"
)


def document(shapes, name="a.png", meta=LABELS, size=(7, 10)):
    return f'<?xml version="1.0"?><annotations>{meta}<image id="0" name="{name}" width="{size[1]}" height="{size[0]}">{shapes}</image></annotations>'


@pytest.fixture
def read(put, photo):
    def reader(shapes, **more):
        put("images/a.png", photo)
        put("annotations.xml", document(shapes, **more))
        return read_support(put.folder).support

    return reader


def test_outlines_masks_and_ellipses_are_masks_and_each_an_object(read):
    shapes = (
        '<polygon label="crack" points="1.0,1.0;5.0,1.0;5.0,4.0;1.0,4.0" z_order="0"><attribute name="deep">yes</attribute></polygon>'
        '<mask label="crack" rle="1, 2, 1, 2" left="7" top="4" width="3" height="2"/><ellipse label="stain" cx="3" cy="5" rx="3" ry="1"/>'
    )
    support = read(shapes)
    labels = support.examples[0].labels
    assert support.classes.names == {1: "stain", 2: "crack"}
    assert [one.box for one in labels.instances[2]] == [(1, 1, 5, 4), (8, 4, 10, 6)]
    assert labels.mask(2)[4:6, 7:10].tolist() == [[False, True, True], [False, True, True]]
    disc = [[((x + 0.5 - 3) / 3) ** 2 + (y + 0.5 - 5) ** 2 <= 1 for x in range(10)] for y in range(7)]
    assert np.array_equal(labels.mask(1), disc)


def test_shapes_of_one_group_are_one_object(read):
    outlines = ("1,1;3,1;3,3;1,3", "6,1;8,1;8,3;6,3", "1,5;3,5;3,7")
    shapes = "".join(
        f'<polygon label="crack" points="{points}"{group}/>' for points, group in zip(outlines, (' group_id="4"', ' group_id="4"', ""), strict=True)
    )
    assert [one.box for one in read(shapes).examples[0].labels.instances[2]] == [(1, 1, 8, 3), (1, 5, 3, 7)]


def test_boxes_points_lines_and_tags_are_what_they_are(read):
    shapes = (
        '<box label="crack" xtl="2.00" ytl="1.00" xbr="6.5" ybr="5"/><points label="stain" points="3.5,2.0;12,1"/>'
        '<polyline label="stain" points="0,0;4,4;9.9,5"/><tag label="rust"/><tag label="crack"/>'
    )
    support = read(shapes)
    labels = support.examples[0].labels
    assert labels.kinds() == {LabelKind.BOX, LabelKind.POINT, LabelKind.SCRIBBLE, LabelKind.TAG}
    assert labels.boxes[2].tolist() == [[2, 1, 6.5, 5]]
    assert labels.points[1][0].tolist() == [[3.5, 2], [10, 1]]
    assert labels.scribbles[1][0].tolist() == [[0, 0], [4, 4], [9.9, 5]]
    assert {support.classes[number]: value for number, value in labels.tags.items()} == {"rust": True}
    assert labels.unlabelled == "unknown"


def test_of_a_turned_box_the_box_around_it_is_taken(read):
    labels = read('<box label="crack" xtl="3" ytl="2" xbr="7" ybr="4" rotation="90"/>').examples[0].labels
    assert np.allclose(labels.boxes[2], [[4, 1, 6, 5]])


def test_a_skeleton_is_keypoints_and_no_class(read):
    skeleton = '<skeleton label="mouse"><points label="nose" outside="0" points="3.25,4.5"/><points label="tail" outside="1" points="0,0"/></skeleton>'
    support = read(skeleton, meta=SKELETON)
    assert support.classes.names == {1: "crack"}
    assert support.examples[0].labels.keypoints == {"nose": (3.25, 4.5), "tail": None}
    assert read(skeleton * 2 + '<tag label="crack"/>', meta=SKELETON).keypoints == ()


@given(hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 7))))
def test_run_lengths_go_row_by_row_and_begin_with_the_background(patch):
    runs = run_lengths(patch)
    assert np.array_equal(np.repeat(np.arange(len(runs)) % 2 == 1, runs), patch.ravel())
    assert all(run > 0 for run in runs[1:])


def test_images_lie_in_a_folder_or_beside_the_file_and_a_truth_needs_none(put, photo):
    path = put("job.xml", document('<polygon label="crack" points="1,1;5,1;5,4"/>', name="left\\a.png"))
    assert recognise(path) == recognise(put.folder) == "cvat"
    truth = read_truth(path)
    assert np.array_equal(truth.labels("left/a.png", (7, 10)).mask(2), fill_polygons((7, 10), [np.array([(1, 1), (5, 1), (5, 4.0)])]))
    put("left/a.png", photo)
    assert [example.name for example in read_support(put.folder).support.examples] == ["left/a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            document(
                '<cuboid label="crack"/><polygon points="1,1;2,2;3,3"/><polygon label="crack" points="1,1;2,2"/><box label="crack" xtl="1"/>'
                '<points label="crack" points="nan,1"/><mask label="crack" rle="1,2" left="0" top="0" width="2" height="2"/>'
                '<mask label="crack" rle="4" left="9" top="0" width="2" height="2"/><polyline label="crack" points="1e9,1"/>'
            ),
            "8 problems",
        ),
        (document('<box label="crack" xtl="1" ytl="1" xbr="1" ybr="5"/>'), "box is empty"),
        (document("", name="../../../etc/passwd"), "outside"),
        (document("", size=(10**6, 10**6)), "pixels"),
        (document("", size=("x", 7)), "no sizes"),
        (document("").replace("</annotations>", '<image name="a.png" width="10" height="7"/></annotations>'), "there twice"),
        ('<!DOCTYPE annotations [<!ENTITY a "b">]>' + document("").partition("?>")[2], "document type"),
        (document("")[:-20], "not valid XML"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(put, photo, content, words):
    put("a.png", photo)
    put("annotations.xml", content)
    with pytest.raises(InputError, match=words) as caught:
        read_support(put.folder, format="cvat")
    assert "annotations.xml" in caught.value.where
