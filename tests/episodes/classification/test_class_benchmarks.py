"""Benchmarks of classes by one word, and the pictures of their items."""

import json

import numpy as np
import pytest
from PIL import Image

from likewise.episodes.classification.benchmark import Item
from likewise.episodes.classification.opening import VALIDATING, names_classes, open_classes
from likewise.errors import InputError, UsageError


def pictures(folder, count, size=(9, 7), value=0, suffix="png"):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((*size, 3), (value + 3 * number) % 256, np.uint8)).save(folder / f"{number:02d}.{suffix}")


@pytest.fixture
def packed(tmp_path):
    """A packed file of the two background sets and two runs; every drawing has its row as a number of ink pixels in the first line."""
    alphabets = {"images_background_small1": ["Greek/character01", "Latin/character02"], "images_background_small2": []}
    alphabets["images_background_small2"] = ["Latin/character02", f"{VALIDATING}/character01", "Sanskrit/character03", "Sanskrit/character04"]
    arrays, row = {}, 0
    for part, names in alphabets.items():
        ink = np.zeros((3 * len(names), 105, 105), bool)
        for each in ink:
            each[0, : row + 1] = True
            row += 1
        arrays |= {f"{part}.bits": np.packbits(ink.reshape(len(ink), -1), axis=1), f"{part}.label": np.repeat(np.arange(len(names)), 3)}
        arrays |= {f"{part}.drawer": np.tile([1, 2, 3], len(names)), f"{part}.characters": np.array(names)}
    runs = np.zeros((2, 2, 4, 105, 105), bool)
    for run in range(2):
        for kind in range(2):
            for place in range(4):
                runs[run, kind, place, 1, : 1 + 20 * run + 10 * kind + place] = True
    bits = np.packbits(runs.reshape(2, 2, 4, -1), axis=-1)
    arrays |= {"oneshot.support.bits": bits[:, 0], "oneshot.query.bits": bits[:, 1], "oneshot.answer": np.array([[3, 2, 1, 0], [1, 0, 3, 2]])}
    np.savez(tmp_path / "omniglot_mini.npz", **arrays)
    return tmp_path


def ink(picture):
    return int((picture[..., 0] < 128).sum())


def test_alphabets_that_do_not_train_validate_and_test(packed):
    benchmark = open_classes(f"omniglot-mini:{packed}")
    assert benchmark.part("train").names == ("Greek/character01", "Latin/character02")
    assert benchmark.part("val").names == (f"{VALIDATING}/character01",)
    assert benchmark.part("test").names == ("Sanskrit/character03", "Sanskrit/character04")
    assert [ink(benchmark.picture(item)) for item in benchmark.part("test").items[1]] == [16, 17, 18]


def test_turned_classes_are_turned_counter_clockwise(packed):
    benchmark = open_classes(f"omniglot-mini-turned:{packed / 'omniglot_mini.npz'}")
    part = benchmark.part("train")
    assert part.names[:5] == ("Greek/character01", *(f"Greek/character01 turned {turn}" for turn in (1, 2, 3)), "Latin/character02")
    plain, turned = (benchmark.picture(part.items[place][2]) for place in (0, 1))
    assert plain[0, :3].max() == 0  # dark ink, in the first line
    assert np.array_equal(turned, np.rot90(plain))


def test_the_one_shot_runs_ask_for_every_query_beside_its_support(packed):
    benchmark = open_classes(f"lake:{packed}")
    support, query = benchmark.fixed[1]
    assert [[ink(benchmark.picture(item)) for item in row] for row in support] == [[21], [22], [23], [24]]
    assert [[ink(benchmark.picture(item)) for item in row] for row in query] == [[32], [31], [34], [33]]


def test_a_folder_a_class_in_parts(tmp_path):
    for part, name in (("train", "a"), ("train", "b"), ("test", "c")):
        pictures(tmp_path / "set" / part / name, 3)
    benchmark = open_classes(f"classes:{tmp_path / 'set'}")
    assert (benchmark.name, benchmark.part("train").names, benchmark.part("test").names) == ("set", ("a", "b"), ("c",))
    with pytest.raises(InputError, match="'val'"):
        benchmark.part("val")


def test_a_folder_a_class_without_parts_is_for_testing_unless_a_list_says_otherwise(tmp_path):
    for name in "abc":
        pictures(tmp_path / name, 2)
    assert open_classes(f"classes:{tmp_path}").part("test").names == ("a", "b", "c")
    (tmp_path / "split.json").write_text(json.dumps({"train": ["c"], "val": ["a"], "test": ["b"]}))
    benchmark = open_classes(f"classes:{tmp_path}")
    assert [benchmark.part(part).names for part in ("train", "val", "test")] == [("c",), ("a",), ("b",)]


def test_a_dataset_says_by_itself_that_it_has_classes(tmp_path):
    for name in "abc":
        pictures(tmp_path / "images" / name, 2)
    (tmp_path / "dataset.json").write_text(json.dumps({"kind": "semantic", "split": {"train": ["c"], "val": ["a"], "test": ["b"]}}))
    assert not names_classes(str(tmp_path))
    (tmp_path / "dataset.json").write_text(json.dumps({"kind": "classification", "split": {"train": ["c"], "val": ["a"], "test": ["b"]}}))
    assert names_classes(str(tmp_path))
    assert open_classes(str(tmp_path)).part("val").sizes == [2]


def test_all_of_mini_imagenet_trains_for_cub(tmp_path):
    for name in ("n1", "n2", "n3"):
        pictures(tmp_path / "mini-imagenet" / name, 2, suffix="JPEG")
    for number in range(1, 5):
        pictures(tmp_path / "CUB_200_2011" / "images" / f"00{number}.bird", 2)
    (tmp_path / "mini_imagenet_ravi.json").write_text(json.dumps({"train": {"n2": [1]}, "val": {"n3": [2]}, "test": {"n1": [1]}}))
    benchmark = open_classes(f"mini-imagenet-to-cub:{tmp_path}")
    assert benchmark.part("train").names == ("n2", "n3", "n1")
    assert (benchmark.part("val").names, benchmark.part("test").names) == (("002.bird",), ("004.bird",))


def test_of_a_whole_class_of_imagenet_the_listed_images_are_taken_by_the_number_in_their_names(tmp_path):
    folder = tmp_path / "n1"
    folder.mkdir()
    for number in [*range(700, 0, -1)]:
        (folder / f"n1_{number}.JPEG").touch()
    for name in ("n2", "n3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}_5.JPEG").touch()
    (tmp_path / "mini_imagenet_ravi.json").write_text(json.dumps({"train": {"n1": [2, 10]}, "val": {"n2": [1]}, "test": {"n3": [1]}}))
    files = [item.place.name for item in open_classes(f"mini-imagenet:{tmp_path}").part("train").items[0]]
    assert files == ["n1_2.JPEG", "n1_10.JPEG"]


def test_characters_of_both_archives_are_found_by_the_list(tmp_path):
    pictures(tmp_path / "images_background" / "Greek" / "character01", 2)
    pictures(tmp_path / "images_evaluation" / "Tengwar" / "character02", 2)
    pictures(tmp_path / "images_evaluation" / "Tengwar" / "character03", 2)
    split = {"train": ["Greek/character01"], "val": ["Tengwar/character03"], "test": ["Tengwar/character02"]}
    (tmp_path / "omniglot_vinyals.json").write_text(json.dumps(split))
    assert len(open_classes(f"omniglot:{tmp_path}").part("train").names) == 4
    assert open_classes(f"omniglot-upright:{tmp_path}").part("test").names == ("Tengwar/character02",)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match="needs the folder"):
        open_classes("cub:")
    with pytest.raises(InputError, match=r"mini_imagenet_ravi\.json is not there"):
        open_classes(f"mini-imagenet:{tmp_path}")
    pictures(tmp_path / "n1", 1)
    (tmp_path / "mini_imagenet_ravi.json").write_text(json.dumps({"train": ["n1"], "val": ["n2"], "test": ["n3"]}))
    with pytest.raises(InputError, match="n2, n3"):
        open_classes(f"mini-imagenet:{tmp_path}")


def test_a_digest_hangs_on_the_items_and_not_on_where_they_lie(tmp_path):
    for place in ("here", "there", "other"):
        pictures(tmp_path / place / "a", 2 if place != "other" else 3)
    here, there, other = (open_classes(f"classes:{tmp_path / place}").digest("test") for place in ("here", "there", "other"))
    assert here == there != other


def test_a_row_is_no_file_and_a_file_no_row(packed, tmp_path):
    pictures(tmp_path / "set" / "a", 1)
    with pytest.raises(TypeError, match="no file"):
        open_classes(f"classes:{tmp_path / 'set'}").picture(Item(3))
    with pytest.raises(TypeError, match="no row"):
        open_classes(f"lake:{packed}").picture(Item(tmp_path))
