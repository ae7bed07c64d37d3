"""What people hand in by mistake, at the command line: each case ends with its exit code and a sentence that says what, where and what to do."""

import json
import shutil

import numpy as np
import pytest
import torch
from benchmarks_made import labelled_folder, pascal_folder, picture, write_pair
from PIL import Image

from likewise.backbones import load_backbone
from likewise.cli import main
from likewise.methods import method_class
from likewise.weights import Card, write_checkpoint

BACKBONE = "random:vit-tiny-14"
TINY = ("--backbone", BACKBONE, "--engine", "torch", "--set", "side=56", "--episodes", "40")
INPUT, WEIGHTS = 4, 3


@pytest.fixture
def refused(capsys, tmp_path):
    """A function that runs a command and checks that it is refused, in words that tell where and what to do; nothing is written."""

    def check(code, words, *arguments):
        found = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert (found, said.out) == (code, ""), said.err
        for word in words:
            assert word in said.err
        assert "where: " in said.err
        assert "remedy: " in said.err
        assert not list(tmp_path.rglob("episodes.jsonl"))

    return check


def fss_folder(root):
    for seed, name in enumerate(("abacus", "yurt")):
        for index in range(1, 4):
            pixels, labels = picture(10 * seed + index, {1: (3, 4 + seed)})
            write_pair(root / name / f"{index}.jpg", root / name / f"{index}.png", pixels, labels * np.uint8(255))
    return root


def coco_folder(root):
    root.mkdir()
    images = [{"id": index, "file_name": f"p{index}.png", "width": 44, "height": 30} for index in range(1, 5)]
    ring = [3, 3, 20, 3, 20, 20, 3, 20]
    shapes = [{"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "area": 289, "bbox": [3, 3, 17, 17], "segmentation": [ring]} for i in range(1, 5)]
    for image in images:
        Image.fromarray(np.full((30, 44, 3), 90, np.uint8)).save(root / image["file_name"])
    (root / "annotations.json").write_text(json.dumps({"images": images, "annotations": shapes, "categories": [{"id": 1, "name": "cup"}]}))
    return root


def pascal(root):
    return ("prototype", f"pascal-5i:{pascal_folder(root)}", "--own-lists", "--fold", "0")


def fss(root):
    return ("prototype", f"fss-1000:{fss_folder(root)}")


def labelled(root):
    return ("prototype", labelled_folder(root, {1: 3, 2: 3}), "--folds", "1")


def coco(root):
    return ("prototype", coco_folder(root), "--folds", "1", "--frame", "fss")


def small(path):
    Image.fromarray(np.ones((9, 8), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("make", "gone"),
    [
        (pascal, "JPEGImages/2007_000302.jpg"),
        (pascal, "SegmentationClassAug/2007_000302.png"),
        (fss, "yurt/2.png"),
        (coco, "p3.png"),
        (labelled, "images/c2-1.png"),
    ],
)
def test_a_list_with_a_missing_image_or_mask(refused, tmp_path, make, gone):
    arguments = make(tmp_path / "set")
    (tmp_path / "set" / gone).unlink()
    refused(INPUT, [gone.split("/")[-1].removesuffix(".png").removesuffix(".jpg")], "evaluate", *arguments, *TINY, "--out", tmp_path / "out")


@pytest.mark.parametrize(("make", "mask"), [(pascal, "SegmentationClassAug/2007_000201.png"), (fss, "yurt/2.png"), (labelled, "masks/c2-1.png")])
def test_a_mask_of_another_size(refused, tmp_path, make, mask):
    arguments = make(tmp_path / "set")
    small(tmp_path / "set" / mask)
    refused(INPUT, ["8x9, its image 5"], "evaluate", *arguments, *TINY, "--out", tmp_path / "out")


@pytest.mark.parametrize("make", [pascal, fss, labelled, coco])
def test_too_few_images_for_five_shots(refused, tmp_path, make):
    refused(INPUT, ["a query and 5 shots need 6"], "evaluate", *make(tmp_path / "set"), *TINY, "--shot", "5")


def test_a_class_with_one_image_and_five_shots(refused, tmp_path):
    folder = labelled_folder(tmp_path / "set", {1: 7, 2: 1})
    refused(INPUT, ["'class-2' has 1 images: a query and 5 shots need 6"], "evaluate", "prototype", folder, "--folds", "1", "--shot", "5", *TINY)


@pytest.mark.parametrize(("text", "words"), [('folds = [["class-1"], []]', "fold 1 has no class"), ("folds = []", "it says no folds")])
def test_an_empty_fold_of_a_file(refused, tmp_path, text, words):
    folder = labelled_folder(tmp_path / "set", {1: 3, 2: 3})
    (tmp_path / "folds.toml").write_text(text)
    refused(INPUT, ["folds.toml", words], "evaluate", "prototype", folder, "--folds", tmp_path / "folds.toml", *TINY)


def test_an_empty_part_of_a_fold(refused, tmp_path):
    folder = labelled_folder(tmp_path / "set", {1: 3, 2: 3}, split={"train": ["class-1"], "test": ["class-2"], "val": []})
    refused(INPUT, ["part 'val' of fold 0 has no class"], "evaluate", "prototype", folder, "--part", "val", *TINY)


def test_an_empty_list_of_published_folds(refused, tmp_path):
    arguments = pascal(tmp_path / "set")
    for path in (tmp_path / "set").rglob("fold0.txt"):
        path.write_text("")
    refused(INPUT, ["fold 0 has no image of class 1"], "evaluate", *arguments, *TINY)


def test_an_empty_list_of_fss_1000(refused, tmp_path):
    arguments = fss(tmp_path / "set")
    for name, text in (("trn", "yurt"), ("val", "yurt"), ("test", "")):
        (tmp_path / "set" / f"{name}.txt").write_text(text)
    refused(INPUT, ["test.txt"], "evaluate", *arguments, *TINY)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Untrained tensors of cst for the small backbone, with a card."""
    learner = method_class("cst").trainable(load_backbone(BACKBONE).config, {})
    path = tmp_path_factory.mktemp("weights") / "cst.safetensors"
    write_checkpoint({name: torch.as_tensor(tensor) for name, tensor in learner.checkpoint().items()}, path, Card("cst"))
    return path


def another_method(_, path):
    write_checkpoint({"weight": torch.ones(2, 3)}, path, Card("hsnet"))


def foreign_tensors(_, path):
    write_checkpoint({"weight": torch.ones(2, 3)}, path)


def half_a_file(whole, path):
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


def half_a_header(whole, path):
    path.write_bytes(whole.read_bytes()[:20])


def no_bytes(_, path):
    path.touch()


def nothing(_, path):
    del path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (another_method, "checkpoint of the method 'hsnet'"),
        (foreign_tensors, "weight"),
        (half_a_file, "safetensors"),
        (half_a_header, "safetensors"),
        (no_bytes, "safetensors"),
        (nothing, "a.safetensors"),
    ],
)
@pytest.mark.parametrize("verb", ["evaluate", "learn", "label", "train"])
def test_a_checkpoint_of_another_method_or_a_truncated_one(refused, checkpoint, tmp_path, monkeypatch, verb, make, words):
    folder, path = labelled_folder(tmp_path / "set", {1: 3, 2: 3}), tmp_path / "a.safetensors"
    make(checkpoint, path)
    common = ("--method", "cst", "--checkpoint", path, "--backbone", BACKBONE, "--engine", "torch")
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        'episodes = 2\nbatch = 1\n[method]\nname = "cst"\nside = 56\n[backbone]\nname = "' + BACKBONE + '"\nengine = "torch"\nfeatures = "compute"\n'
        f'[data]\nown = "{folder}"\n[[source]]\ndata = "own"\n'
    )
    arguments = {
        "evaluate": ("evaluate", "cst", folder, "--folds", "1", "--checkpoint", path, *TINY),
        "learn": ("learn", folder, "--out", tmp_path / "x.task", *common),
        "label": ("label", folder, folder / "images", "--out", tmp_path / "labels", *common),
        "train": ("train", recipe, f"method.start={path}", "--out", tmp_path / "run"),
    }
    refused(WEIGHTS, [words], *arguments[verb])
    assert not (tmp_path / "x.task").exists()
    assert not list((tmp_path / "labels").glob("*.png"))
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
