"""The whole way from a folder of good images, without one label, by the command line and from Python."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

import likewise
from likewise.task import load

PLACE = ("--backbone", "random:vit-tiny-14", "--device", "cpu", "--engine", "torch", "--set", "side=168")
OPTIONS = {"backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "side": 168}


def paint(path, seed, blot=False):
    pixels = np.random.default_rng(seed).integers(100, 140, (84, 112, 3), dtype=np.uint8)
    if blot:
        pixels[28:70, 42:84] = (0, 0, 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path):
    for seed in range(10):
        paint(tmp_path / f"good/{seed}.png", seed)
    for seed in (50, 51):
        paint(tmp_path / f"images/fine {seed}.png", seed)
        paint(tmp_path / f"images/blot {seed}.png", seed, blot=True)
    return tmp_path


def test_a_folder_of_good_images_labels_others(run, data):
    code, _, err = run("label", data / "good", data / "images", "--out", data / "labels", "--method", "unlike", *PLACE)
    assert code == 0
    assert "good (good images without labels), 10 good images; class: unlike" in err
    lines = {line["image"]: line for line in map(json.loads, (data / "labels/manifest.jsonl").read_text().splitlines())}
    assert {name for name, line in lines.items() if line["present"]} == {"blot 50.png", "blot 51.png"}
    assert np.asarray(Image.open(data / "labels/blot 50.png"))[40:58, 52:74].mean() > 0.9
    assert not np.asarray(Image.open(data / "labels/fine 50.png")).any()


def test_other_methods_do_not_take_a_folder_without_labels(run, data):
    code, _, err = run("label", data / "good", data / "images", "--out", data / "labels", *PLACE)
    assert code == 4
    assert "no labels were found" in err
    assert "(good)" not in err


def test_named_as_good_images_other_methods_say_that_no_class_is_shown(run, data):
    code, _, err = run("label", data / "good", data / "images", "--out", data / "labels", "--as", "good", *PLACE, "--method", "ridge")
    assert code == 4
    assert "no example shows any class" in err


def test_the_task_says_what_it_promises_and_grows_by_more_good_images(run, data):
    code, _, _ = run("learn", data / "good", "--out", data / "a.task", "--method", "unlike", *PLACE)
    assert code == 0
    _, out, _ = run("inspect", data / "a.task")
    assert "false alarms: at most 9.09 % of good images, by 10 left-out ones" in out
    for seed in range(20, 25):
        paint(data / f"more/{seed}.png", seed)
    assert run("learn", data / "a.task", "--add", data / "more", "--engine", "torch")[0] == 0
    assert load(data / "a.task").memory.facts["alarm"]["images"] == 15


def test_from_too_few_it_says_that_more_are_needed(run, data):
    for seed in range(3):
        paint(data / f"three/{seed}.png", seed)
    run("learn", data / "three", "--out", data / "b.task", "--method", "unlike", *PLACE)
    _, out, _ = run("inspect", data / "b.task")
    assert "at most 25 % of good images, by 3 left-out ones, 10 % were asked for: more good images are needed" in out


def test_python_learns_from_the_folder_and_from_examples_that_lack_the_class_alike(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no word of a class without an example
        folder = likewise.learn(data / "good", method="unlike", **OPTIONS)
        examples = [likewise.Example(path, tags={"defect": False}) for path in sorted((data / "good").glob("*.png"))]
        named = likewise.learn(examples, method="unlike", **OPTIONS)
    one, two = (task.predict(data / "images/blot 50.png") for task in (folder, named))
    assert one.present["unlike"] == two.present["defect"] > 0.5
    assert np.array_equal(one.labels, two.labels)
