"""Benchmarks from labelled images of any format."""

import json

import numpy as np
import pytest
from benchmarks_made import labelled_folder
from PIL import Image

from likewise.episodes.benchmark import episodes_of
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.opening import open_benchmark
from likewise.errors import InputError, UsageError


def test_images_are_found_under_every_class_that_they_show(tmp_path):
    folder = labelled_folder(tmp_path / "set", {1: 3, 2: 2}, {"both": {1: (2, 3), 2: (20, 30)}})
    found = LabelledBenchmark.open(folder, folds=1).images("test", 0)
    assert found.by_class == {1: ["both", "c1-0", "c1-1", "c1-2"], 2: ["both", "c2-0", "c2-1"]}


def test_ignored_pixels_are_void_and_those_without_a_label_background_unless_unknown(tmp_path):
    for unlabelled, rest in (("background", 0), ("unknown", 255)):
        folder = labelled_folder(tmp_path / unlabelled, {1: 2}, unlabelled=unlabelled)
        mask = np.asarray(Image.open(folder / "masks" / "c1-0.png")).copy()
        mask[:3] = 255
        Image.fromarray(mask).save(folder / "masks" / "c1-0.png")
        labels = LabelledBenchmark.open(folder).labels("c1-0")
        assert np.array_equal(labels, np.where(mask == 0, rest, mask))


def test_a_split_of_classes_makes_the_parts_and_a_split_of_images_does_not(tmp_path):
    parts = {"train": ["class-1", "class-3"], "val": ["class-2"]}
    by_class = LabelledBenchmark.open(labelled_folder(tmp_path / "a", {1: 2, 2: 2, 3: 2}, split=parts))
    assert (by_class.folds, tuple(by_class.images("train", 0).by_class), tuple(by_class.images("val", 0).by_class)) == (1, (1, 3), (2,))
    by_image = LabelledBenchmark.open(labelled_folder(tmp_path / "b", {1: 2, 2: 2, 3: 2}, split={"support": ["c1-0"], "query": ["c1-1"]}))
    assert by_image.folds == 3
    assert by_image.images("test", 2).by_class == {3: ["c3-0", "c3-1"]}


def test_classes_with_too_few_images_are_left_out_when_asked(tmp_path):
    folder = labelled_folder(tmp_path / "set", {1: 3, 2: 1, 3: 2})
    assert tuple(LabelledBenchmark.open(folder, folds=1, least=2).images("test", 0).by_class) == (1, 3)
    with pytest.raises(InputError, match="'class-2' has 1 images: a query and 1 shots need 2"):
        episodes_of(LabelledBenchmark.open(folder, folds=1), "test")


def test_a_fold_of_classes_without_images_is_refused(tmp_path):
    folder = labelled_folder(tmp_path / "set", {1: 2, 2: 0})
    (tmp_path / "folds.json").write_text('{"folds": [["class-2"], ["class-1"]]}')
    with pytest.raises(InputError, match="images show class-2"):
        LabelledBenchmark.open(folder, folds=tmp_path / "folds.json").images("test", 0)


def test_a_mask_of_another_size_and_a_missing_image_are_errors_at_once(tmp_path):
    folder = labelled_folder(tmp_path / "set", {1: 2, 2: 2})
    Image.fromarray(np.ones((9, 8), np.uint8)).save(folder / "masks" / "c2-1.png")
    with pytest.raises(InputError, match="8x9, its image 57x43") as caught:
        LabelledBenchmark.open(folder)
    assert "c2-1" in caught.value.where


def coco_file(folder):
    """Two categories with a gap in their numbers; in the second image a small cup lies on a table."""
    folder.mkdir(parents=True)
    images = [{"id": index, "file_name": f"p{index}.png", "height": 30, "width": 44} for index in (1, 2, 3)]
    for image in images:
        Image.fromarray(np.full((30, 44, 3), 90, np.uint8)).save(folder / image["file_name"])

    def box(number, image, category, x0, y0, x1, y1):
        ring = [x0, y0, x1, y0, x1, y1, x0, y1]
        area = (x1 - x0) * (y1 - y0)
        return {
            "id": number,
            "image_id": image,
            "category_id": category,
            "segmentation": [ring],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": area,
            "iscrowd": 0,
        }

    annotations = [box(1, 1, 11, 2, 2, 40, 28), box(2, 2, 11, 2, 2, 40, 28), box(3, 2, 7, 10, 10, 16, 18), box(4, 3, 7, 20, 4, 30, 12)]
    categories = [{"id": 7, "name": "cup"}, {"id": 11, "name": "table"}]
    (folder / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return folder / "instances.json"


def test_a_coco_file_is_a_benchmark_and_the_smaller_object_lies_on_top(tmp_path):
    found = LabelledBenchmark.open(coco_file(tmp_path / "coco"), folds=1)
    numbers = {name: number for number, name in found.class_names.items()}
    cup, table = numbers["cup"], numbers["table"]
    assert {number: len(names) for number, names in found.images("test", 0).by_class.items()} == {cup: 2, table: 2}
    labels = found.labels(found.images("test", 0).by_class[table][1])
    assert (labels[14, 13], labels[5, 5], labels[0, 0]) == (cup, table, 0)
    assert (labels == cup).sum() == 6 * 8


def test_boxes_alone_are_no_truth(tmp_path):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "examples.json").write_text(json.dumps({"examples": [{"image": "a.png", "boxes": {"cat": [[1, 2, 9, 8]]}}]}))
    with pytest.raises(InputError, match="not pixels"):
        LabelledBenchmark.open(tmp_path)


class TestByOneWord:
    def test_a_path_a_name_with_a_folder_and_views_are_told_apart(self, tmp_path):
        folder = labelled_folder(tmp_path / "set", {1: 2, 2: 2})
        assert open_benchmark(str(folder)).name == "set"
        assert open_benchmark(f"views:{folder}").name == "set-views"
        assert open_benchmark(f"pascal-5i:{folder}").name == "pascal-5i"

    def test_a_name_without_a_folder_or_unknown_says_what_to_write(self, tmp_path):
        with pytest.raises(UsageError, match="coco-20i:FOLDER"):
            open_benchmark("coco-20i")
        with pytest.raises(UsageError, match="did you mean 'pascal-5i'"):
            open_benchmark("pascal5i:data")
        with pytest.raises(UsageError, match="own folds"):
            open_benchmark(f"pascal-5i:{tmp_path}", folds=2)
