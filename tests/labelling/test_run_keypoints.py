"""A run with keypoints and a density: files, manifest, report and scores, and its files as labels again."""

import json

import numpy as np
import pytest
from PIL import Image

import likewise
from likewise.formats import list_images, read_support
from likewise.labelling import label_folder
from likewise.testing.conformance import picture


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    points = {}
    for index, size in enumerate(((60, 80), (80, 60), (70, 70), (64, 90))):
        Image.fromarray(picture(index, *size)[0]).save(tmp_path / "images" / f"i{index}.png")
        points[f"i{index}"] = [[10 + index, 20, 2], None if index == 1 else [30, 40 - index, 2]]
    (tmp_path / "keypoints.json").write_text(json.dumps({"keypoints": ["nose", "tail"], "points": points}))
    (tmp_path / "dataset.json").write_text(json.dumps({"split": {"support": ["i0", "i1"], "query": ["i2", "i3"]}}))
    return tmp_path


def test_keypoints_go_all_the_way_from_a_folder_to_scores(folder, tmp_path):
    task = likewise.learn(folder, method="ridge", backbone="random:vit-tiny-14", engine="torch", device="cpu", side=168)
    assert task.keypoints == ("nose", "tail")
    out = tmp_path / "out"
    summary = label_folder(task, list_images(folder), out, truth=folder)
    assert summary.labelled == 2
    assert set(summary.truth["keypoints"]) == {"nose", "tail", "all"}
    assert summary.truth["keypoints"]["all"]["error"] > 0
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    written = json.loads((out / "i2.keypoints.json").read_text())["keypoints"]
    assert line["files"].keys() == {"i2.keypoints.json"}
    assert written["nose"]["x"] == pytest.approx(line["keypoints"]["nose"][0], abs=1e-3)
    assert "pixels on average" in (out / "report.html").read_text(encoding="utf-8")
    for name in ("i2", "i3"):
        Image.open(folder / "images" / f"{name}.png").save(out / f"{name}.jpg")
    again = {example.name: example.labels.keypoints for example in read_support(out).support.examples}
    assert set(again) == {"i2", "i3"}
    assert set(again["i2"]) == {"nose", "tail"}


def test_the_count_of_a_density_stands_in_the_manifest(tmp_path):
    (tmp_path / "images").mkdir()
    pixels = picture(0, 60, 80)[0]
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    values = np.random.default_rng(0).random((60, 80)) / 1000
    support = likewise.Support([likewise.Example(pixels, "a", dense={"cells": values})], targets={"cells": likewise.Target(kind="density")})
    task = likewise.learn(support, method="ridge", backbone="random:vit-tiny-14", engine="torch", device="cpu", side=168)
    label_folder(task, list_images(tmp_path / "images"), tmp_path / "out", report=False)
    line = json.loads((tmp_path / "out" / "manifest.jsonl").read_text())
    assert line["count"]["cells"] == pytest.approx(values.sum(), rel=0.2)
