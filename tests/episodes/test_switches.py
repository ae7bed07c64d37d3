"""What rows of published tables need, and which checkpoints repeat them."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import torch
from benchmarks_made import labelled_folder

from likewise.episodes.evaluation import Contender, Setting
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.published import every_row, rows_of
from likewise.episodes.running import Job, run_table
from likewise.episodes.switches import TITLES, need_of, overview, trained_with
from likewise.episodes.tables import blocks_of
from likewise.errors import InputError
from likewise.methods import method_class
from likewise.task.learning import Place

RECIPES = Path(__file__).parents[2] / "recipes"


def recipe_beside(folder, masks=(100.0,), backbone="random:vit-tiny-14", **method):
    """A folder as `likewise train` leaves it, with untrained tensors; the checkpoint."""
    from likewise.backbones import load_backbone
    from likewise.weights import write_checkpoint

    folder.mkdir()
    told = {"method": {"name": "cst", **method}, "backbone": {"name": backbone}, "source": [{"masks": each} for each in masks]}
    (folder / "recipe.json").write_text(json.dumps(told))
    shape = load_backbone("random:vit-tiny-14").config
    trained = method_class("cst").trainable(shape, {name: value for name, value in method.items() if name in ("many_heads", "coupled")})
    write_checkpoint({name: torch.as_tensor(tensor) for name, tensor in trained.checkpoint().items()}, folder / "best.safetensors")
    return folder / "best.safetensors"


def need(table, words, supervision=None):
    (found,) = {json.dumps(need_of(row).told): need_of(row) for row in rows_of(table) if words in row.title and supervision in (None, row.supervision)}.values()
    return found


class TestNeeds:
    def test_every_table_has_a_title_and_every_row_a_need_or_an_obstacle(self):
        assert {row.table for row in every_row()} == set(TITLES)
        assert all(need_of(row).told for row in every_row())
        assert all(f"\n{table} " in overview() for table in TITLES)

    def test_what_a_row_needs_is_a_recipe_that_is_here_with_settings_that_exist(self):
        from likewise.training.recipe import read_recipe

        asked = {(found.method, found.recipe, found.overrides) for row in every_row() if (found := need_of(row)).recipe}
        assert len(asked) > 20
        assert {method for method, *_ in asked} == {"cst", "hsnet", "asnet", "pfenet"}
        for method, name, overrides in asked:
            recipe = read_recipe(RECIPES / method / f"{name}.toml", [text for text in overrides if "ENHANCER" not in text])
            assert recipe.method.name == method

    def test_the_words_of_a_recipe_say_what_its_switches_ask(self):
        for row in every_row():
            asked = need_of(row)
            if not asked.recipe:
                continue
            told = tomllib.loads((RECIPES / asked.method / f"{asked.recipe}.toml").read_text())
            words = dict(text.split("=") for text in asked.overrides)
            if asked.method != "cst":
                trained = {"supervision": words.get("method.supervision", told["method"].get("supervision", "masks")), "masks": 100.0}
                trained["empty"] = told["source"][0].get("empty", True)
                assert asked.met_by({**trained, "own_network": "start" in told["method"]}), (row.table, row.title, asked)
                continue
            found = {
                "supervision": words.get("method.supervision", told["method"].get("supervision", "auto")),
                "masks": float(words.get("source.0.masks", told["source"][0].get("masks", 100))),
                "enhancer": words.get("method.start") == "ENHANCER",
                "coupled": words.get("method.coupled") == "true",
                "many_heads": words.get("method.many_heads") != "false",
                "class_weight": float(words.get("method.class_weight", 0.1)),
                "class_supervised": words.get("backbone.name", "").startswith("vit-"),
                "pseudo": words.get("method.pseudo", "attention"),
                "pseudo_backbone": words.get("method.pseudo_backbone", ""),
                "empty": told["source"][0].get("empty", True),
            }
            assert asked.met_by(found), (row.table, row.title, asked, found)

    @pytest.mark.parametrize(
        ("table", "words", "overrides"),
        [
            ("7", "decoupled", ()),
            ("a.4", "(c)", ("method.coupled=true",)),
            ("a.8", "0.05", ("method.class_weight=0.05",)),
            ("6", "output tokens", ("method.pseudo=tokens",)),
            ("6", "CNN", ("method.pseudo=pooled", "method.start=EXTRACTOR")),
            ("6", "class-supervised", ("method.pseudo_backbone=vit-small-16",)),
            ("3", "test time), percent true masks 100", ()),
            ("3", "baseline), percent true masks 2.5", ("source.0.masks=2.5",)),
        ],
    )
    def test_switches_of_the_ablations(self, table, words, overrides):
        assert need(table, words, "pixel" if table in ("7",) else None).overrides == overrides

    def test_the_rows_of_dino_need_its_pseudo_masks_alone(self):
        rows = [row for row in every_row() if row.method == "DINO"]
        assert {row.table for row in rows} == {"1", "2", "a.9", "a.10", "a.11"}
        assert {need_of(row).told for row in rows} == {"needs class-attention with --backbone dino-small-8, in which nothing is trained"}

    @pytest.mark.parametrize(("words", "method"), [("HSNet", "hsnet"), ("ASNet", "asnet"), ("CST", "cst")])
    @pytest.mark.parametrize("table", ["8", "a.13"])
    def test_segmentation_alone_is_trained_without_empty_queries(self, table, words, method):
        asked = need(table, words)
        assert asked.told == f"needs {method}:CHECKPOINT of `likewise train recipes/{method}/coco-fss.toml`"
        assert not asked.switches["empty"]
        assert not asked.met_by({**asked.switches, "empty": True})

    def test_what_is_not_here_says_why(self):
        assert "statistics of batches" in need("4", "PANet").told
        assert need("8", "RPMM").told == "not in this program"
        assert "on a ResNet" in need("a.4", "(a)").told


class TestTrainedWith:
    def test_a_recipe_beside_the_checkpoint_says_it(self, tmp_path):
        found = trained_with(recipe_beside(tmp_path / "run", masks=(5.0, 100.0), coupled=True, start=None))
        assert (found["coupled"], found["masks"], found["enhancer"], found["class_weight"]) == (True, 5.0, False, 0.1)
        assert need("7", ", coupled heads", "pixel").met_by({**found, "masks": 100.0})
        assert not need("7", ", coupled heads", "pixel").met_by(found)

    def test_a_start_with_a_resnet_is_no_mask_enhancer(self, tmp_path):
        told = {"method": {"name": "cst", "supervision": "pseudo", "pseudo": "pooled", "start": "resnet.safetensors"}}
        (tmp_path / "recipe.json").write_text(json.dumps({**told, "backbone": {"name": "random:vit-tiny-14"}, "source": [{"masks": 100.0}]}))
        found = trained_with(tmp_path / "best.safetensors")
        assert need("6", "CNN").met_by(found)
        assert not need("6", "last attention").met_by(found)

    def test_a_peer_of_cst_is_known_by_its_supervision_and_its_network(self, tmp_path):
        told = {"method": {"name": "hsnet", "supervision": "classes", "start": "resnet.safetensors"}, "backbone": {"name": "random:vit-tiny-14"}}
        (tmp_path / "recipe.json").write_text(json.dumps({**told, "source": [{"masks": 100.0}]}))
        found = trained_with(tmp_path / "best.safetensors")
        assert need("1", "HSNet").met_by(found)
        assert not need("4", "HSNet").met_by(found)
        assert not need("a.5", "HSNet", "image").met_by(found)

    @pytest.mark.parametrize(("method", "words"), [("cst", "CST"), ("hsnet", "HSNet")])
    def test_what_was_trained_without_empty_queries_repeats_segmentation_alone_and_nothing_else(self, tmp_path, method, words):
        told = {"method": {"name": method, "start": None if method == "cst" else "resnet.safetensors"}, "backbone": {"name": "random:vit-tiny-14"}}
        (tmp_path / "recipe.json").write_text(json.dumps({**told, "source": [{"masks": 100.0, "empty": False}]}))
        found = trained_with(tmp_path / "best.safetensors")
        assert need("8", words).met_by(found)
        assert not need("8", words).met_by({**found, "empty": True})
        assert not need("a.12", words).met_by(found)

    def test_nothing_is_known_of_other_checkpoints(self, tmp_path):
        assert trained_with("random") is None
        assert trained_with(tmp_path / "foreign.safetensors") is None
        assert not need("7", ", coupled heads", "pixel").met_by(None)

    @pytest.mark.parametrize("text", ["{", "[]", '{"method": {}}'])
    def test_another_file_of_that_name_is_said(self, tmp_path, text):
        (tmp_path / "recipe.json").write_text(text)
        with pytest.raises(InputError, match=re.escape(str(tmp_path))):
            trained_with(tmp_path / "best.safetensors")


def test_a_checkpoint_stands_beside_the_rows_that_were_trained_alike_and_the_others_say_what_they_need(tmp_path):
    data = LabelledBenchmark.open(labelled_folder(tmp_path / "set", {1: 3, 2: 3}), folds=1)
    shared = {"backbone": "random:vit-tiny-14", "place": Place("cpu", "torch")}
    coupled = recipe_beside(tmp_path / "coupled", coupled=True)
    contenders = [
        Contender(method="prototype", settings={"side": 56}, **shared),
        Contender(method="cst", checkpoint=coupled, settings={"side": 70}, label="cst-coupled", **shared),
    ]
    page, records = run_table(Job(data, [0]), contenders, Setting(episodes=1), "7")
    assert [(record["label"], record["episodes"]["labelling"], record["repeats"]) for record in records if record["method"] == "cst"] == [
        ("cst-coupled", "mask", ["CST, coupled heads"]),
        ("cst-coupled", "mask", ["CST, coupled heads"]),
    ]
    assert sum(record["method"] == "prototype" for record in records) == 4
    assert page.count("- CST, coupled heads: repeated by cst-coupled") == 2
    assert page.count("- CST, decoupled heads: not repeated: needs cst:CHECKPOINT of `likewise train recipes/cst/pascal-pixel.toml`") == 2


@pytest.mark.parametrize(("pseudo", "told"), [("attention", "repeated by class-attention"), ("tokens", "not repeated: needs class-attention with")])
def test_a_method_without_training_repeats_the_rows_of_its_settings(tmp_path, pseudo, told):
    data = LabelledBenchmark.open(labelled_folder(tmp_path / "set", {1: 3, 2: 3}), folds=1)
    settings = {"side": 56, "pseudo": pseudo}
    one = Contender(method="class-attention", settings=settings, backbone="random:vit-tiny-14", place=Place("cpu", "torch"))
    page, records = run_table(Job(data, [0]), [one], Setting(episodes=1), "1")
    assert [(record["episodes"]["way"], record["repeats"] == ["DINO"]) for record in records] == [(1, pseudo == "attention"), (2, pseudo == "attention")]
    assert page.count(f"- DINO: {told}") == 2


def test_rows_with_true_masks_at_test_time_are_apart_from_those_of_tags():
    by_labelling = {block.setting.labelling: [row.title for row in block.rows] for block in blocks_of("3", Setting(), lambda setting: None)}
    assert {name: len(titles) for name, titles in by_labelling.items()} == {"tag": 7, "mask": 4}
    assert all("true masks at test time" in title for title in by_labelling["mask"])


def test_true_masks_in_the_test_are_asked_of_the_support_where_a_row_had_them(tmp_path):
    data = LabelledBenchmark.open(labelled_folder(tmp_path / "set", {1: 3, 2: 3}), folds=1)
    one = Contender(method="prototype", settings={"side": 56}, backbone="random:vit-tiny-14", place=Place("cpu", "torch"))
    assert [record["episodes"]["labelling"] for record in run_table(Job(data, [0]), [one], Setting(episodes=1), "3")[1]] == ["tag", "mask"]
