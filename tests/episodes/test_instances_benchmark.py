"""COCO-20i from instances files: folds, lists, which objects count, pictures of either release."""

import json

import numpy as np
import pytest
from benchmarks_made import instances_folder

from likewise.episodes.benchmark import episodes_of
from likewise.episodes.instances import InstancesBenchmark
from likewise.episodes.opening import open_benchmark
from likewise.episodes.prompted.annotations import annotated, held_out
from likewise.episodes.prompted.sampling import validation_episode
from likewise.episodes.prompted.simulation import Chance
from likewise.episodes.truth import objects_in, truth_of
from likewise.errors import InputError, UsageError


@pytest.fixture
def folder(tmp_path):
    return instances_folder(tmp_path / "coco", small=(1, 9))


def test_folds_are_interleaved_and_small_objects_do_not_make_an_image_one_of_their_class(folder):
    benchmark = InstancesBenchmark(folder)
    found = benchmark.images("test", 1)
    assert list(found.by_class) == [2, 6]
    assert {number: [benchmark.class_names[number], sorted(names)] for number, names in found.by_class.items()} == {
        2: ["thing-2", ["val/501", "val/505", "val/509"]],
        6: ["thing-6", ["val/505"]],  # 501 and 509 show it small
    }
    assert found.objects["val/505"] == {6: 1, 2: 1}


def test_small_objects_are_truth_and_prompt_unless_it_is_official(folder):
    ours, official = InstancesBenchmark(folder), InstancesBenchmark(folder, official=True)
    for benchmark, shown in ((ours, {0, 1, 2}), (official, {0, 1})):
        labels, void = truth_of(benchmark, "val/501", (2, 6))
        assert set(np.unique(labels).tolist()) == shown
        assert not void.any()
        objects, size = objects_in(benchmark, "val/501", (2, 6))
        assert [each.category for each in objects] == sorted(shown - {0})
        assert size == labels.shape == (111, 133)


def test_what_covers_a_pixel_depends_on_the_classes_that_are_asked_for(folder):
    benchmark = InstancesBenchmark(folder)
    both, alone = benchmark.labels_among("val/504", (1, 5)), benchmark.labels_among("val/504", (5,))
    assert (both == 1)[45:60, 55:63].all()  # thing-1 stands later in the file
    assert (alone == 1)[45:60, 55:63].all()
    assert (both > 0).sum() > (alone > 0).sum()
    assert benchmark.labels("val/504")[50, 60] == 1


def test_crowds_are_left_out_and_pictures_are_found_by_their_number(folder):
    benchmark = InstancesBenchmark(folder)
    assert len(objects_in(benchmark, "val/500", range(1, 9))[0]) == 2
    assert benchmark.source("val/500").name == "000000000500.jpg"
    assert benchmark.image("val/503").shape == (113, 137, 3)
    benchmark.check(["val/500", "val/509"])


def test_the_first_official_episode_of_a_run_is_that_of_the_published_code(shared, tmp_path):
    (tmp_path / "annotations").mkdir()
    text = (shared / "golden" / "la_coco_tiny.json").read_text()
    (tmp_path / "annotations" / "instances_val2014.json").write_text(text)
    content = json.loads(text)
    for fold in range(4):
        categories = held_out([each["id"] for each in content["categories"]], fold)
        wanted = validation_episode(annotated(content, categories), 2, 1, Chance.seeded(43).python)
        images = InstancesBenchmark(tmp_path, official=True).images("val", fold)
        found = episodes_of(InstancesBenchmark(tmp_path, official=True), "val", fold, 2, 1, 1, 43, "nway", official=True)[0]
        assert found.query == f"val/{wanted.query}"
        assert len(images.by_class) == len(categories)
        assert [content["categories"][number - 1]["id"] for number in found.classes] == sorted(wanted.drawn_for)


def test_the_frame_says_which_coco_is_opened(folder):
    assert isinstance(open_benchmark(f"coco-20i:{folder}", frame="nway"), InstancesBenchmark)
    assert not isinstance(open_benchmark(f"coco-20i:{folder}"), InstancesBenchmark)


class TestBadInput:
    def test_what_is_missing_is_named_with_its_source(self, folder, tmp_path):
        with pytest.raises(InputError, match=r"instances_val2014\.json is not there"):
            InstancesBenchmark(tmp_path / "nothing")
        with pytest.raises(InputError, match=r"instances_train2014\.json is not there"):
            InstancesBenchmark(folder).images("train", 0)
        (folder / "val2017" / "000000000502.jpg").unlink()
        with pytest.raises(InputError, match="the picture is not there"):
            InstancesBenchmark(folder).check(["val/501", "val/502"])

    def test_a_picture_of_another_size(self, folder):
        (folder / "val2017" / "000000000502.jpg").write_bytes((folder / "val2017" / "000000000503.jpg").read_bytes())
        with pytest.raises(InputError, match="it is 137x113, its annotations 135x112"):
            InstancesBenchmark(folder).check(["val/502"])

    def test_a_file_of_something_else(self, tmp_path):
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / "instances_val2014.json").write_text('{"images": []}')
        with pytest.raises(InputError, match="no instances file of COCO"):
            InstancesBenchmark(tmp_path)

    def test_a_fold_that_is_not_there(self, folder):
        with pytest.raises(UsageError, match="no fold 4"):
            InstancesBenchmark(folder).images("test", 4)
