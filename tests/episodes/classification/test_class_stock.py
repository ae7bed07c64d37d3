"""What of a benchmark of classification is said to be there."""

import json

import numpy as np
import pytest
from PIL import Image

from likewise.cli import main
from likewise.episodes.inventory import take_stock
from likewise.errors import InputError, UsageError


def paint(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (5, 6, 3), dtype=np.uint8)).save(path)


def told(stocks):
    return [(stock.what, stock.there, stock.needed, stock.remark) for stock in stocks]


def test_a_folder_a_class_is_all_test_and_says_how_many_pictures_there_are(tmp_path):
    for number, name in enumerate(("a/1", "a/2", "b/1")):
        paint(tmp_path / f"{name}.png", number)
    assert told(take_stock("classes", tmp_path)) == [("classes, test", 2, 2, "3 pictures, 1 to 2 a class")]


def test_a_folder_that_says_its_split_is_counted_by_its_parts_and_named_alone(tmp_path, capsys):
    for name in "abcd":
        paint(tmp_path / f"images/{name}/1.png", ord(name))
    split = {"train": ["a", "c"], "val": ["b"], "test": ["d"]}
    (tmp_path / "dataset.json").write_text(json.dumps({"kind": "classification", "split": split}))
    assert [stock[:2] for stock in told(take_stock("classes", tmp_path))] == [("classes, train", 2), ("classes, val", 1), ("classes, test", 1)]
    assert main(["data", "check", "classes", str(tmp_path)]) == 0
    assert f"likewise evaluate METHOD {tmp_path}`" in capsys.readouterr().out


def test_a_published_list_says_which_classes_are_missing(tmp_path):
    paint(tmp_path / "Tagalog/character01/1.png", 1)
    split = {"train": ["Tagalog/character01", "Greek/character02"], "val": ["Greek/character03"], "test": ["Latin/character04"]}
    (tmp_path / "omniglot_vinyals.json").write_text(json.dumps(split))
    stocks = take_stock("omniglot", tmp_path)
    assert [stock[:3] for stock in told(stocks)] == [
        ("list omniglot_vinyals.json", 1, 1),
        ("classes, train", 1, 2),
        ("classes, val", 0, 1),
        ("classes, test", 0, 1),
    ]
    assert stocks[1].missing == ("Greek/character02",)


def test_a_list_that_is_not_there_is_what_is_missing(tmp_path, capsys):
    assert main(["data", "check", "mini-imagenet", str(tmp_path)]) == 4
    assert "mini_imagenet_ravi.json: 0 of 1" in capsys.readouterr().out


def test_a_part_of_cub_is_not_the_whole(tmp_path):
    for number in range(3):
        paint(tmp_path / f"images/{number:03}.bird/1.png", number)
    assert [stock[:3] for stock in told(take_stock("cub", tmp_path))] == [("classes, train", 2, 100), ("classes, val", 1, 50)]


def test_the_way_from_mini_imagenet_to_cub_says_what_of_either_is_there(tmp_path):
    paint(tmp_path / "mini-imagenet/n01/1.png", 1)
    for number in range(3):
        paint(tmp_path / f"CUB_200_2011/images/{number:03}.bird/1.png", number)
    (tmp_path / "mini_imagenet_ravi.json").write_text(json.dumps({"train": ["n01", "n02"], "val": ["n03"], "test": ["n04"]}))
    assert [stock[:3] for stock in told(take_stock("mini-imagenet-to-cub", tmp_path))] == [
        ("mini-ImageNet, list mini_imagenet_ravi.json", 1, 1),
        ("mini-ImageNet, classes, train", 1, 2),
        ("mini-ImageNet, classes, val", 0, 1),
        ("mini-ImageNet, classes, test", 0, 1),
        ("CUB, classes, train", 2, 100),
        ("CUB, classes, val", 1, 50),
    ]


def test_the_packed_characters_and_runs_are_counted(shared):
    folder = shared / "data/omniglot_mini"
    assert [stock.complete for stock in take_stock("omniglot-mini", folder)] == [True] * 3
    assert told(take_stock("lake", folder)) == [("one-shot runs", 20, 20, "400 queries")]


def test_an_empty_folder_and_unknown_names_are_refused_with_what_to_do(tmp_path):
    assert take_stock("classes", tmp_path)[0].complete is False
    with pytest.raises(UsageError, match="omniglot"):
        take_stock("omniglott", tmp_path)
    with pytest.raises(InputError, match="CUB-200-2011"):
        take_stock("cub", tmp_path / "nowhere")
