"""`likewise evaluate` and `likewise data check` on the command line."""

import json
import re

import numpy as np
import pytest
from PIL import Image

TINY = ("--backbone", "random:vit-tiny-14", "--engine", "torch", "--set", "side=56", "--episodes", "3")


@pytest.fixture
def classes(tmp_path):
    """Three classes of coloured squares, 3 images each."""
    folder = tmp_path / "colours"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in (1, 2, 3):
        for index in range(3):
            generator = np.random.default_rng(10 * number + index)
            pixels, mask = generator.integers(0, 99, (44 + index, 61, 3), np.uint8), np.zeros((44 + index, 61), np.uint8)
            mask[5 + index : 25, 9 : 30 + number] = number
            pixels[mask > 0, number - 1] = 240
            Image.fromarray(pixels).save(folder / "images" / f"{number}-{index}.png")
            Image.fromarray(mask).save(folder / "masks" / f"{number}-{index}.png")
    (folder / "dataset.json").write_text(json.dumps({"classes": {"1": "red", "2": "green", "3": "blue"}, "ignore": 255}))
    return folder


def test_a_page_and_records_are_made(run, classes, tmp_path):
    code, out, err = run("evaluate", "prototype", classes, *TINY, "--folds", 1, "--way", 2, "--out", tmp_path / "out")
    assert code == 0, err
    assert out.startswith("# prototype on colours (test): FS-CS, 2-way 1-shot, mask\n")
    assert "| CST, table 4 | pascal-5i" in out
    assert "| green | 0 |" in out
    assert str(tmp_path / "out") in err.splitlines()[-1]
    assert json.loads((tmp_path / "out/prototype/test-fscs-2way-1shot-mask/record.json").read_text())["benchmark"] == "colours"
    assert list((tmp_path / "out" / "features").rglob("*.safetensors"))


def test_json_is_a_list_of_records_one_a_method(run, classes):
    code, out, _ = run("evaluate", "prototype,nearest", classes, *TINY, "--fold", "0,2", "--support", "box", "--json")
    assert code == 0
    records = json.loads(out)
    assert [record["method"] for record in records] == ["prototype", "nearest"]
    assert [[fold["fold"] for fold in record["folds"]] for record in records] == [[0, 2], [0, 2]]
    assert {record["episodes"]["labelling"] for record in records} == {"box"}


def test_augmented_episodes_stand_beside_the_figures_of_emat(run, classes):
    code, out, _ = run("evaluate", "prototype", classes, *TINY, "--folds", 1, "--way", 2, "--augment", "partial", "--no-empty-masks")
    assert code == 0
    assert out.startswith("# prototype on colours (test): FS-CS, 2-way 1-shot, partially augmented, without empty masks, mask\n")
    assert "published" not in out.partition("Protocol")[0]
    code, out, _ = run("evaluate", "prototype", classes, *TINY, "--folds", 1, "--way", 2, "--augment", "full")
    assert code == 0
    assert "| EMAT, published | coco-20i, 4 folds of 1,000 episodes | strict-folds | 73.0 |  | 52.0 |" in out
    assert "CST, table 4" not in out


def test_folds_are_read_from_a_file(run, classes, tmp_path):
    (tmp_path / "folds.toml").write_text('folds = [["blue", "red"], ["green"]]')
    code, out, _ = run("evaluate", "prototype", classes, *TINY, "--folds", tmp_path / "folds.toml", "--fold", 0, "--json")
    assert code == 0
    assert set(json.loads(out)[0]["folds"][0]["classes"]) == {"blue", "red"}


def test_a_table_of_the_paper_is_repeated(run, classes):
    code, out, _ = run("evaluate", "prototype", classes, *TINY, "--folds", 1, "--table", "4")
    assert code == 0
    assert out.startswith("# Table 4, repeated on colours\n\n**Other data.**")
    assert out.count("| **prototype**, here |") == 2


def test_what_every_table_needs_is_listed_without_a_method_or_data(run):
    code, out, _ = run("evaluate", "--table", "list")
    assert code == 0
    assert re.search(r"^7 +coupled and decoupled heads .*; ablation$", out, re.MULTILINE)
    assert "CST, coupled heads, pixel: needs cst:CHECKPOINT of `likewise train recipes/cst/pascal-pixel.toml method.coupled=true`" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "no METHOD is named"),
        (("prototype",), 2, "no BENCHMARK is named"),
        (("prototyp", "colours"), 2, "did you mean 'prototype'"),
        ((",", "colours"), 2, "no method is named"),
        (("prototype", "colors"), 4, "no such file or folder"),
        (("prototype", "colours", "--shot", "3"), 4, "a query and 3 shots need 4"),
        (("prototype", "colours", "--shot", "few"), 2, "no number of images"),
        (("prototype", "colours", "--fold", "3"), 2, "numbers from 0 to 2"),
        (("prototype", "colours", "--way", "2"), 2, "2 ways of 1 classes"),
        (("cst", "colours"), 3, "needs trained weights"),
        (("prototype", "colours", "--checkpoint", "random"), 2, "no checkpoint"),
        (("prototype", "colours", "--table", "5"), 2, "no table '5'"),
        (("prototype", "pascal-5i"), 2, "pascal-5i:FOLDER"),
        (("prototype", "colours", "--frame", "fss", "--augment", "full"), 2, "Use the frame fscs"),
        (("prototype", "colours", "--frame", "fss", "--no-empty-masks"), 2, "Use the frame fscs"),
        (("prototype", "colours", "--pairing", "joint", "--augment", "partial"), 2, "leave --augment out"),
        (("prototype", "colours", "--table", "4", "--augment", "partial"), 2, "tables of the paper"),
        (("prototype", "views:colours", "--augment", "full"), 2, "one class alone"),
        (("prototype", "colours", "--object-size", "5"), 2, "Write LOW-HIGH"),
        (("prototype", "colours", "--object-size", "80-90"), 4, "no class takes 80-90 per cent"),
    ],
)
def test_what_cannot_be_evaluated_is_said_with_its_exit_code(run, classes, arguments, code, words):
    found, out, err = run("evaluate", *arguments, *TINY)
    assert (found, out) == (code, "")
    assert words in err


class TestDataCheck:
    def test_what_is_missing_is_listed_with_its_source_and_the_code_of_bad_input(self, run, shared):
        code, out, _ = run("data", "check", "pascal-5i", shared / "benchmarks")
        assert code == 4
        assert "ok      lists of folds: 8 of 8" in out
        assert "missing pictures: 0 of 11,473" in out
        assert "host.robots.ox.ac.uk" in out

    def test_json_says_the_same(self, run, shared):
        code, out, _ = run("data", "check", "coco-20i", shared / "benchmarks", "--json")
        assert code == 4
        assert [(stock["what"], stock["complete"]) for stock in json.loads(out)] == [("lists of folds", True), ("pictures", False), ("masks", False)]

    def test_an_unknown_benchmark_is_answered_with_the_known_ones(self, run, tmp_path):
        code, _, err = run("data", "check", "pascal", tmp_path)
        assert code == 2
        assert "did you mean 'pascal-5i'" in err
