"""Pascal VOC: numbers and colours of masks, the convention of boxes, lists, and what cannot be used."""

import numpy as np
import pytest
from PIL import Image

from likewise.data.classes import voc_palette
from likewise.errors import InputError
from likewise.formats import list_images, read_support, read_truth, recognise


def annotation(*objects, filename="a.jpg", size=(7, 10)):
    corners = ("xmin", "ymin", "xmax", "ymax")
    boxes = "".join(
        f"<object><name>{name}</name><bndbox>{''.join(f'<{c}>{v}</{c}>' for c, v in zip(corners, box, strict=True))}</bndbox></object>" for name, box in objects
    )
    return f"<annotation><filename>{filename}</filename><size><width>{size[1]}</width><height>{size[0]}</height></size>{boxes}</annotation>"


@pytest.fixture
def voc(put, photo):
    put("JPEGImages/a.png", photo)
    return put


def labels(folder, **more):
    return read_support(folder, **more).support.examples[0].labels


def test_boxes_are_pixels_counted_from_one_with_the_last_included(voc):
    voc("Annotations/a.xml", annotation(("dog", (1, 2, 4, 3)), ("cat", (10, 7, 10, 7))))
    found = labels(voc.folder)
    assert recognise(voc.folder) == "voc"
    assert found.boxes[12].tolist() == [[0, 1, 4, 3]]  # dog is the twelfth of VOC's classes
    assert found.boxes[8].tolist() == [[9, 6, 10, 7]]
    assert found.label_map is None


@pytest.mark.parametrize("box", [(0, 2, 4, 3), ("1.0", "2.0", "4.0", "3.0")])
def test_boxes_of_tools_that_count_edges_from_zero_are_told_by_a_zero_or_by_their_form(voc, box):
    voc("Annotations/a.xml", annotation(("dog", box)))
    assert labels(voc.folder).boxes[12].tolist() == [[float(value) for value in box]]


def test_fractions_alone_do_not_change_the_convention(voc):
    voc("Annotations/a.xml", annotation(("dog", (1.5, 2.25, 4, 3))))
    assert labels(voc.folder).boxes[12].tolist() == [[0.5, 1.25, 4, 3]]


def test_palette_masks_are_read_in_their_numbers_whatever_their_colours(voc, mask):
    image = Image.fromarray(mask)
    image.putpalette(np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8).tobytes())
    path = voc("SegmentationClass/a.png", mask)
    image.save(path)
    voc("labelmap.txt", "background:::\ncrack:::\nstain: deep:1,2,3::\n")
    support = read_support(voc.folder).support
    assert support.classes.names == {1: "crack", 2: "stain: deep"}
    assert np.array_equal(support.examples[0].labels.label_map, np.where(mask == 255, -1, mask.astype(int)))


@pytest.mark.parametrize("listed", [False, True])
def test_coloured_masks_are_read_by_their_colours(voc, mask, listed):
    colours = voc_palette()
    if listed:
        colours = colours.copy()
        colours[1], colours[2] = (250, 50, 83), (1, 2, 3)
        voc("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrack:250,50,83::\nstain:1,2,3::\n")
    else:
        voc("classes.json", ["crack", "stain"])
    voc("SegmentationClass/a.png", colours[mask])
    assert np.array_equal(labels(voc.folder).label_map, np.where(mask == 255, -1, mask.astype(int)))


def test_objects_are_told_apart_by_the_second_mask(voc):
    classes, objects = np.zeros((7, 10), np.uint8), np.zeros((7, 10), np.uint8)
    classes[1:3, 1:9] = 1
    objects[1:3, 1:4], objects[1:3, 4:9] = 1, 2
    voc("SegmentationClass/a.png", classes)
    voc("SegmentationObject/a.png", objects)
    voc("labelmap.txt", "crack:::\n")
    assert [one.box for one in labels(voc.folder).instances[1]] == [(1, 1, 4, 3), (4, 1, 9, 3)]


def test_a_box_around_outlined_pixels_is_left_out_and_the_inside_of_another_is_ignored(voc):
    classes = np.zeros((7, 10), np.uint8)
    classes[1:3, 1:4] = 12
    voc("SegmentationClass/a.png", classes)
    voc("Annotations/a.xml", annotation(("dog", (1, 1, 5, 4)), ("cat", (6, 4, 8, 6))))
    found = labels(voc.folder)
    assert {number: boxes.tolist() for number, boxes in found.boxes.items()} == {8: [[5, 3, 8, 6]]}
    assert (found.label_map[3:6, 5:8] == -1).all()
    assert (found.label_map < 0).sum() == 9


def test_an_annotation_without_an_object_shows_none_of_the_classes(voc, put, photo):
    put("JPEGImages/b.png", photo)
    voc("Annotations/a.xml", annotation())
    voc("Annotations/b.xml", annotation(("dog", (1, 2, 4, 3))))
    first, second = (example.labels for example in read_support(voc.folder).support.examples)
    assert (first.present(12), second.present(12), second.present(8)) == (False, True, False)


def test_lists_are_splits_and_lists_of_one_class_are_not(voc, put, photo):
    for name in "bc":
        put(f"JPEGImages/{name}.png", photo)
    for name in "ab":
        voc(f"Annotations/{name}.xml", annotation(("dog", (1, 2, 4, 3)), filename="x.png"))
    for name, content in (("train", "a\n"), ("val", "b\n"), ("dog_train", "a  1\nb -1\n"), ("trainval", "a\nb\n")):
        voc(f"ImageSets/Main/{name}.txt", content)
    assert [example.name for example in read_support(voc.folder, split="val").support.examples] == ["b"]
    with pytest.raises(InputError, match="no split 'dog_train'"):
        read_support(voc.folder, split="dog_train")
    for folder in (voc.folder, voc.folder / "JPEGImages"):
        assert [entry.name for entry in list_images(folder).entries] == ["a.png", "b.png", "c.png"]


def test_masks_are_not_listed_as_images(voc, mask):
    voc("SegmentationClass/a.png", mask)
    voc("SegmentationObject/a.png", mask)
    assert [entry.name for entry in list_images(voc.folder).entries] == ["a.png"]


def test_a_truth_needs_no_images(put):
    put("Annotations/a.xml", annotation(("dog", (1, 2, 4, 3))))
    put("Annotations/b.xml", annotation())
    truth = read_truth(put.folder)
    assert truth.labels("a.png", (7, 10)).boxes[12].tolist() == [[0, 1, 4, 3]]
    assert truth.labels("b.png", (7, 10)).present(12) is False


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"Annotations/a.xml": annotation(("dog", (5, 2, 3, 3)), ("", (1, 1, 2, 2)), ("dog", ("nan", 1, 2, 2)))}, "3 problems"),
        ({"Annotations/a.xml": '<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>'}, "document type"),
        ({"Annotations/a.xml": "<annotation>" + "<part>" * 100}, "nested too deeply"),
        ({"Annotations/a.xml": "<annotation><object>"}, "not valid XML"),
        ({"Annotations/a.xml": "<annotation/>", "Annotations/b.xml": "<root/>"}, "begins with <root>"),
        ({"Annotations/b.xml": annotation(("dog", (1, 1, 2, 2)), filename="../../../etc/passwd")}, "outside"),
        ({"Annotations/a.xml": annotation(("dog", (1, 1, 2, 2)), size=(10**6, 10**6))}, "pixels"),
        ({"Annotations/a.xml": annotation(("crack", (1, 1, 2, 2))), "SegmentationClass/a.png": np.zeros((7, 10), np.uint8)}, "nothing says which number"),
        ({"Annotations/a.xml": annotation(("crack", (1, 1, 2, 2))), "labelmap.txt": "stain:::\n"}, "'crack' is no class"),
        ({"SegmentationClass/a.png": np.full((7, 10, 3), (9, 8, 7), np.uint8), "labelmap.txt": "stain:1,2,3::\n"}, "colour \\(9, 8, 7\\)"),
        ({"SegmentationClass/a.png": np.zeros((7, 10), np.uint8), "labelmap.txt": "stain:1,2::\n"}, "not name:red"),
        ({"SegmentationClass/a.png": np.zeros((7, 10), np.uint8), "labelmap.txt": "stain:::\nbackground:::\n"}, "background is not the first"),
        ({"SegmentationClass/a.png": np.zeros((7, 10), np.uint8), "SegmentationObject/a.png": np.zeros((6, 10), np.uint8)}, "the mask of classes 10x7"),
        ({"SegmentationClass/a.png": np.full((7, 10), 3, np.uint8), "labelmap.txt": "stain:::\n"}, "no class: 3"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(voc, files, words):
    for name, content in files.items():
        voc(name, content)
    with pytest.raises(InputError, match=words):
        read_support(voc.folder, format="voc")
