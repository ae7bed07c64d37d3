"""Labels that lie in folders by the hash of their names are read like others."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from likewise.data import ClassTable, Prediction, Target
from likewise.formats import open_writer, read_support, read_truth
from likewise.formats.spread import lies_spread, plain, plain_names, spread

TABLE = ClassTable({1: "disc", 3: "bar"})
NAMES = ["a.png", "left/a.png", "left/b.c.png", "x.jpg", "x.png", "deep/er/ä.png"]
HEIGHT, WIDTH = 9, 13


def labels(place):
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[1 : 3 + place, 2:5] = 1
    found[2:5, 7 : 9 + place % 3] = 3
    return found


def write(folder, format, **more):
    """A run of the names in a folder; what was written."""
    writer = open_writer(format, folder, TABLE, {}, names=NAMES, spread=True, **more)
    files = []
    for place, name in enumerate(NAMES):
        path = folder.parent / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 40 * place, np.uint8)).save(path)
        written = writer.write(name, Prediction(TABLE, {}, labels(place), {}, {}, 0.5, image=path))
        assert {*written} <= {*writer.planned(name)}
        files += written
    writer.finish()
    return [path.as_posix() for path in files]


def check(truth):
    for place, name in enumerate(NAMES):
        found = truth.labels(name, (HEIGHT, WIDTH))
        assert found is not None, name
        for number, word in TABLE.names.items():
            assert np.array_equal(found.mask(truth.classes.number(word)), labels(place) == number), name


def test_a_file_lies_in_the_folder_of_the_first_digits_of_its_hash(tmp_path):
    files = write(tmp_path / "out", "index-png", overlay=True)
    stem = "left/b.c"
    digits = hashlib.sha256(stem.encode()).hexdigest()[:2]
    assert f"labels/{digits}/{stem}.png" in files
    assert f"labels/{digits}/{stem}.overlay.jpg" in files
    assert f"labels/{hashlib.sha256(b'x.jpg').hexdigest()[:2]}/x.jpg.png" in files
    assert len(set(files)) == len(files) == 2 * len(NAMES)


@pytest.mark.parametrize("format", ["coco", "cvat", "label-studio", "examples", "voc", "yolo", "labelme"])
def test_the_truth_in_every_format_is_found_without_its_images(tmp_path, format):
    write(tmp_path / "out", format)
    if format in ("examples", "yolo", "labelme", "label-studio"):  # their readers look into the pictures: for the size, or the file itself
        shutil.copytree(tmp_path / "pictures", tmp_path / "out" / ("" if format == "labelme" else "images"), dirs_exist_ok=True)
    check(read_truth(tmp_path / "out", format=format))


@pytest.mark.parametrize("format", ["index-png", "geotiff"])
def test_masks_are_found_beside_images(tmp_path, format):
    write(tmp_path / "out", format, overlay=True)
    shutil.copytree(tmp_path / "out/labels", tmp_path / "set/masks")
    shutil.copytree(tmp_path / "pictures", tmp_path / "set/images")
    shutil.copyfile(tmp_path / "out/classes.json", tmp_path / "set/classes.json")
    check(read_truth(tmp_path / "set"))
    assert len(read_support(tmp_path / "set").support) == len(NAMES)


def test_dense_maps_and_keypoints_are_found_beside_images(tmp_path):
    writer = open_writer("index-png", tmp_path / "out", ClassTable({}), {"depth": Target(unit="m")}, keypoints=True, names=["left/a.png"], spread=True)
    depth = np.linspace(1, 2, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    picture = tmp_path / "set/images/left/a.png"
    picture.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(picture)
    none = np.zeros((HEIGHT, WIDTH), np.uint8)
    prediction = Prediction(ClassTable({}), {"depth": Target(unit="m")}, none, {}, {"depth": depth}, 0.5, keypoints={"nose": (3.0, 4.5, 0.9)})
    assert all(path.as_posix().startswith(f"labels/{spread('left/a')}.") for path in writer.write("left/a.png", prediction))
    shutil.copytree(tmp_path / "out/labels", tmp_path / "set/masks")
    found = read_truth(tmp_path / "set").labels("left/a.png", (HEIGHT, WIDTH))
    assert np.allclose(found.dense["depth"][:, :, 0], depth, atol=1e-3)
    assert found.keypoints["nose"] == pytest.approx((3.0, 4.5))


def test_lists_of_voc_name_images_and_not_folders(tmp_path):
    write(tmp_path / "out", "voc")
    listed = (tmp_path / "out/ImageSets/Segmentation/default.txt").read_text("utf-8").splitlines()
    assert sorted(listed) == sorted(["a", "left/a", "left/b.c", "x.jpg", "x.png", "deep/er/ä"])


def test_entries_of_examples_json_have_the_names_of_their_images(tmp_path):
    write(tmp_path / "out", "examples")
    named = {entry["name"] for entry in json.loads((tmp_path / "out/examples.json").read_text("utf-8"))["examples"]}
    assert {"a", "left/a", "left/b.c"} <= named


@given(st.text("ab0/.", min_size=1, max_size=8).filter(lambda name: name[0] != "/" and name[-1] not in "/."))
def test_the_folder_of_the_hash_comes_off_again(name):
    assert plain(spread(name)) == name
    assert plain(f"labels/{spread(name)}") == name
    assert lies_spread([f"{spread(name)}.png"])


def test_folders_of_other_peoples_naming_are_left_alone():
    chance = next(f"{number:02x}/x" for number in range(256) if spread("x").startswith(f"{number:02x}/"))  # named so by accident
    assert plain_names([f"{chance}.png", "00/y.png"]) == {chance: f"{chance}.png", "00/y": "00/y.png"}
    assert plain_names([]) == {}
