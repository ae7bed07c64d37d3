"""COCO both ways, with pycocotools as the judge."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from likewise.data import ClassTable, LabelKind, Prediction
from likewise.errors import InputError
from likewise.formats import list_images, open_writer, read_support, read_truth, recognise, write_prediction
from likewise.formats.rle import decode_mask, encode_mask

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' decoder with NumPy 2
MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 12)))
CONTENT = {
    "images": [{"id": 7, "file_name": "a.png", "height": 7, "width": 10}, {"id": "b", "file_name": "sub/b.png", "height": 7, "width": 10}],
    "categories": [{"id": 3, "name": "crack"}, {"id": 90, "name": "stain"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [[1, 1, 8, 1, 8, 5, 1, 5]], "bbox": [1, 1, 7, 4], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 90, "bbox": [0.5, 5.5, 3, 40]},
    ],
}


@pytest.fixture
def content(put, photo):
    put("images/a.png", photo)
    put("images/sub/b.png", photo)
    return copy.deepcopy(CONTENT)


@pytest.fixture
def judge():
    def load(path):
        with contextlib.redirect_stdout(io.StringIO()):
            return COCO(str(path))

    return load


@given(MASKS)
def test_run_lengths_survive_both_ways_and_agree_with_pycocotools(mask):
    packed = encode_mask(mask)
    assert np.array_equal(decode_mask(packed["counts"], mask.shape), mask)
    assert np.array_equal(coco_mask.decode({"size": packed["size"], "counts": packed["counts"].encode()}), mask)
    plain, runs = mask.T.ravel(), [0]
    for value in plain:
        if value != (len(runs) % 2 == 0):
            runs.append(0)
        runs[-1] += 1
    assert np.array_equal(decode_mask(runs, mask.shape), mask)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=130), max_size=30))
def test_damaged_run_lengths_are_refused_and_never_read_beyond_their_end(text):
    with contextlib.suppress(ValueError):
        assert decode_mask(text, (3, 4)).shape == (3, 4)


@pytest.mark.parametrize("counts", [[13], [-1, 13], [10**30, 2], [], "0", "P", "\x80", "o" * 20])
def test_run_lengths_must_fill_the_image_exactly(counts):
    with pytest.raises(ValueError, match="run length"):
        decode_mask(counts, (3, 4))


def test_real_annotations_decode_to_the_masks_that_pycocotools_makes(shared, judge):
    oracle = judge(shared / "coco_mini" / "instances.json")
    truth = read_truth(shared / "coco_mini", format="coco")
    seen = 0
    for entry in oracle.loadImgs(oracle.getImgIds()[:12]):
        labels = truth.labels(entry["file_name"], size=(entry["height"], entry["width"]))
        crowd = np.zeros((entry["height"], entry["width"]), bool)
        for number in truth.classes:
            single = oracle.loadAnns(oracle.getAnnIds(entry["id"], [number], iscrowd=False))
            if single:
                assert np.array_equal(labels.mask(number), np.logical_or.reduce([oracle.annToMask(each) for each in single]))
                seen += 1
        for each in oracle.loadAnns(oracle.getAnnIds(entry["id"], iscrowd=True)):
            crowd |= oracle.annToMask(each).astype(bool)
        covered = np.logical_or.reduce([labels.mask(number) for number in truth.classes])
        assert np.array_equal(labels.label_map == -1, crowd & ~covered)
    assert seen > 20


def test_the_real_set_has_the_split_of_its_dataset_json_and_keeps_gaps_in_the_ids(shared):
    read = read_support(shared / "coco_mini", format="coco")
    assert (len(read.support), read.split) == (21, "support")
    assert read.support.classes[13] == "stop sign"
    assert 12 not in read.support.classes
    listed = list_images(shared / "coco_mini", format="coco")
    assert len(listed) == 47
    assert all(entry.path.is_file() for entry in listed.entries)


def test_outlines_and_boxes_share_an_image_and_the_inside_of_a_box_is_not_background(put, content):
    put("instances.json", content)
    read = read_support(put.folder)
    assert (read.format, [example.name for example in read.support.examples]) == ("coco", ["a", "sub/b"])
    labels = read.support.examples[0].labels
    assert labels.kinds() == {LabelKind.MASK, LabelKind.BOX}
    assert labels.boxes[90].tolist() == [[0.5, 5.5, 3.5, 7.0]]
    assert (labels.label_map[5:, :4] == -1).all()
    assert (read.support.examples[1].labels.label_map == 0).all()


def test_boxes_alone_make_no_pixel_labels(put, content):
    content["annotations"] = content["annotations"][1:]
    put("annotations.json", content)
    assert read_support(put.folder).support.examples[0].labels.kinds() == {LabelKind.BOX}


def test_a_crowd_region_is_ignored_and_does_not_cover_what_is_outlined(put, content):
    region = np.zeros((7, 10), bool)
    region[:, :5] = True
    content["annotations"][1] = {"id": 3, "image_id": 7, "category_id": 3, "iscrowd": 1, "segmentation": encode_mask(region)}
    put("x.json", content)
    got = read_support(put.folder).support.examples[0].labels.label_map
    assert (got[:, :5] != 0).all()
    assert (got[2, 2], got[0, 0], got[0, 9]) == (3, -1, 0)


def test_a_polygon_too_thin_for_any_pixel_still_marks_its_outline(put, content):
    content["annotations"] = [{"image_id": 7, "category_id": 3, "segmentation": [[1, 2.2, 8, 2.2, 8, 2.3, 1, 2.3]]}]
    put("instances.json", content)
    assert (read_support(put.folder).support.examples[0].labels.label_map[2, 1:8] == 3).all()


def test_ids_that_cannot_be_class_numbers_are_numbered_anew_and_equal_names_kept_apart(put, content):
    content["categories"] = [{"id": 0, "name": "crack"}, {"id": 255, "name": "stain"}, {"id": 5, "name": "crack"}]
    content["annotations"] = []
    put("instances.json", content)
    assert dict(read_support(put.folder).support.classes.names) == {1: "crack (0)", 2: "crack (5)", 3: "stain"}


def test_all_problems_of_a_file_are_told_at_once(put, content):
    content["annotations"] += [
        {"image_id": 8, "category_id": 3, "bbox": [1, 1, 2, 2]},
        {"image_id": 7, "category_id": 4, "bbox": [1, 1, 2, 2]},
        {"image_id": 7, "category_id": 3, "bbox": [1, 1, 2]},
        {"image_id": 7, "category_id": 3, "bbox": [11, 1, 2, 2]},
        {"image_id": 7, "category_id": 3, "segmentation": [[1, 2, 3, 4]]},
        {"image_id": 7, "category_id": 3, "segmentation": [[1e9, 2, 3, 4, 5, 6]]},
        {"image_id": 7, "category_id": 3, "segmentation": {"size": [10, 7], "counts": "x"}},
        {"image_id": 7, "category_id": 3},
    ]
    path = put("instances.json", content)
    with pytest.raises(InputError, match=r"8 problems") as caught:
        read_support(put.folder)
    words = ["no image 8", "no category 4", "3 numbers", "outside", "three (x, y)", "far outside", "size", "neither"]
    for number, word in enumerate(words):
        line = next(line for line in str(caught.value).splitlines() if f"annotations[{number + 2}]" in line)
        assert word in line
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["images"].append(c["images"][0]), "twice"),
        (lambda c: c["images"][0].update(height=0), "10x0"),
        (lambda c: c["images"][0].update(height=10**6, width=10**6), "pixels"),
        (lambda c: c["images"][0].update(file_name="../../secret.png"), "outside"),
        (lambda c: c["images"][0].update(file_name="/etc/passwd"), "not a path inside"),
        (lambda c: c["images"][0].update(file_name="gone.png"), "not there: gone"),
        (lambda c: c["images"][0].pop("width"), r"images\[0\].width: field required"),
        (lambda c: c["categories"].append({"id": 3, "name": "again"}), "id 3 is there twice"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3, 1e999]), "finite|not valid JSON"),
        (lambda c: c["annotations"][0].update(segmentation={"size": [7, 10], "counts": "5"}), "add up to 5"),
    ],
)
def test_files_that_cannot_be_used_are_refused(put, content, change, words):
    change(content)
    put("instances.json", content)
    with pytest.raises(InputError, match=words):
        read_support(put.folder, format="coco")


def test_two_coco_files_in_one_folder_need_a_choice(put, content):
    put("one.json", content)
    two = put("two.json", content)
    with pytest.raises(InputError, match=r"2 COCO files: one\.json, two\.json"):
        read_support(put.folder)
    assert recognise(two) == "coco"
    assert len(read_support(two).support) == 2


def test_a_truth_needs_no_images(put, content):
    truth = read_truth(put("elsewhere/instances.json", content))
    assert truth.labels("sub/b.jpg", size=(7, 10)) is not None
    assert truth.labels("c.jpg", size=(7, 10)) is None


@pytest.fixture
def prediction(mask, photo):
    table = ClassTable({1: "crack", 2: "stain", 300: "rust"})
    labels = np.where(mask == 255, 300, mask.astype(np.int16)).astype(np.int16)
    return Prediction(table, {}, labels, {}, {}, 0.5, {"crack": 0.25}, image=photo)


def test_written_annotations_are_valid_for_pycocotools_and_read_back_to_every_pixel(put, photo, prediction, judge):
    put("sub/a.png", photo)
    put("b.png", photo)
    writer = open_writer("coco", put.folder, prediction.classes, {})
    for name in ("sub/a.png", "b.png"):
        assert set(writer.write(name, prediction)) <= set(writer.planned(name))
    assert [path.as_posix() for path in writer.finish()] == ["annotations.json"]
    oracle = judge(put.folder / "annotations.json")
    assert [entry["file_name"] for entry in oracle.loadImgs(oracle.getImgIds())] == ["b.png", "sub/a.png"]
    for each in oracle.loadAnns(oracle.getAnnIds()):
        wanted = prediction.labels == each["category_id"]
        assert np.array_equal(oracle.annToMask(each), wanted)
        assert each["area"] == wanted.sum()
        assert each["bbox"] == coco_mask.toBbox(coco_mask.encode(np.asfortranarray(wanted, np.uint8))).tolist()
        assert each["score"] == (0.25 if each["category_id"] == 1 else 0.5)
    with contextlib.redirect_stdout(io.StringIO()):
        results = oracle.loadRes(json.loads((put.folder / "annotations.json").read_text())["annotations"])
    assert len(results.getAnnIds()) == 6
    back = read_support(put.folder).support
    assert back.classes == prediction.classes
    assert all(np.array_equal(example.labels.label_map, prediction.labels) for example in back.examples)


def test_a_run_in_two_halves_gives_the_same_file_as_in_one_go(put, prediction):
    names = ["a.png", "b/c.png", "d.png"]
    for run in (names, [*names[:1], "stop", *names[1:]]):
        out = put.folder / str(len(run))
        writer = open_writer("coco", out, prediction.classes, {}, final=out)
        for name in run:
            if name == "stop":
                writer.finish()
                writer = open_writer("coco", out, prediction.classes, {}, final=out)
            else:
                writer.write(name, prediction)
        writer.finish()
    assert (put.folder / "3" / "annotations.json").read_bytes() == (put.folder / "4" / "annotations.json").read_bytes()


def test_one_prediction_is_a_coco_file_of_one_image(tmp_path, prediction, judge):
    assert write_prediction(prediction, tmp_path / "one.json", "coco") == [tmp_path / "one.json"]
    assert len(judge(tmp_path / "one.json").getAnnIds()) == 3


def test_dataset_json_beside_it_says_what_unlabelled_pixels_are(put, content):
    put("instances.json", content)
    assert {example.labels.unlabelled for example in read_support(put.folder).support.examples} == {"background"}
    put("dataset.json", {"unlabelled": "unknown"})
    assert {example.labels.unlabelled for example in read_support(put.folder).support.examples} == {"unknown"}


def test_an_image_that_lists_absent_categories_says_nothing_of_the_others(put, content):
    content["categories"].append({"id": 5, "name": "hole"})
    content["images"][1]["neg_category_ids"] = [90, 77]
    content["annotations"][1]["image_id"] = content["annotations"][0]["image_id"] = "b"
    content["annotations"][1]["category_id"] = 3
    put("instances.json", content)
    full, federated = (example.labels for example in read_support(put.folder).support.examples)
    assert [full.present(number) for number in (3, 5, 90)] == [False, False, False]
    assert [federated.present(number) for number in (3, 5, 90)] == [True, None, False]
    assert (full.unlabelled, federated.unlabelled) == ("background", "unknown")


def test_a_category_that_is_there_and_said_to_be_absent_is_a_problem(put, content):
    content["images"][0]["neg_category_ids"] = [3]
    put("instances.json", content)
    with pytest.raises(InputError, match=r"images\[0\].neg_category_ids.*category 3"):
        read_support(put.folder)


def test_each_annotation_is_an_object_of_its_class(put, content):
    put("instances.json", content)
    for example in read_support(put.folder).support.examples:
        drawn = [each for each in content["annotations"] if each.get("segmentation") and not each.get("iscrowd")]
        assert sum(map(len, example.labels.instances.values())) <= len(drawn)
        for number, objects in example.labels.instances.items():
            assert np.array_equal(np.logical_or.reduce([one.mask(example.labels.size) for one in objects]), example.labels.mask(number))


def test_keypoints_of_two_objects_in_one_image_are_left_alone_and_of_one_are_read(put, content):
    content["categories"][0]["keypoints"] = ["nose", "tail"]
    number = content["categories"][0]["id"]
    points = {"image_id": content["images"][0]["id"], "category_id": number, "keypoints": [3, 4, 2, 9, 9, 0]}
    content["annotations"].append({"id": 91, "bbox": [1, 1, 3, 3]} | points)
    put("instances.json", content)
    support = read_support(put.folder).support
    assert [example.labels.keypoints for example in support.examples if example.labels.keypoints] == [{"nose": (3.5, 4.5)}]
    content["annotations"].append({"id": 92, "bbox": [1, 1, 3, 3]} | points)
    put("instances.json", content)
    assert read_support(put.folder).support.keypoints == ()
    content["annotations"][-1]["keypoints"] = [1, 2]
    put("instances.json", content)
    with pytest.raises(InputError, match="keypoints has 2 numbers"):
        read_support(put.folder)
