"""Records and pages: what is in them, and that published figures are never taken for ours."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks_made import labelled_folder

from likewise.episodes import running
from likewise.episodes.evaluation import Contender, Setting
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.published import every_row, rows_beside, rows_of, sources
from likewise.episodes.record import commit
from likewise.episodes.running import Job, contenders_named, folds_named, name_of, run_all, run_table
from likewise.errors import UsageError
from likewise.task.learning import Place
from likewise.weights import Card, write_checkpoint


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    return LabelledBenchmark.open(labelled_folder(tmp_path_factory.mktemp("set"), {1: 3, 2: 3, 3: 4}), folds=2)


def contender(method="prototype", **changed):
    return Contender(method=method, backbone="random:vit-tiny-14", settings={"side": 56}, place=Place("cpu", "torch"), **changed)


@pytest.fixture(scope="module")
def evaluated(benchmark, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    records = run_all(Job(benchmark, [0, 1], out), [contender(), contender("ridge")], Setting(episodes=5))
    return out, records


class TestPublished:
    def test_all_figures_are_those_of_the_description(self, shared):
        told = json.loads((shared / "spec" / "cst_tables.json").read_text())["rows"]
        names = {"exact_ratio": "exact_ratio", "miou": "miou", "fbiou": "fb_iou"}
        wanted = sorted(
            (str(row["table"]), row["method"], row["way"], row["shot"], names[row["metric"]], row["average"]) for row in told if row.get("metric") in names
        )
        assert sorted((row.table, row.method, row.way, row.shot, name, value) for row in every_row() for name, value in row.average.items()) == wanted
        folds = sorted([row[f"fold{fold}"] for fold in range(4)] for row in told if row.get("metric") in names and row.get("fold0") is not None)
        assert sorted(list(each) for row in every_row() for each in row.folds.values()) == folds

    def test_a_table_is_found_by_its_name(self):
        assert {row.way for row in rows_of("a.14")} == {1, 2, 3, 4, 5}
        with pytest.raises(UsageError, match=r"did you mean 'a\.14'"):
            rows_of("a14")

    def test_rows_beside_are_of_the_same_setting_and_benchmark_where_there_are_any(self):
        same = rows_beside("coco-20i", "fss", "mask", 1, 5)
        assert {row.benchmark for row in same} == {"coco-20i"}
        assert {row.title: row.average["miou"] for row in same}["CST"] == 48.7
        assert {row.benchmark for row in rows_beside("pascal-5i", "fscs", "mask", 1, 1)} == {"pascal-5i"}
        foreign = rows_beside("mine", "fscs", "tag", 1, 1)
        assert {row.benchmark for row in foreign} == {"pascal-5i", "coco-20i"}
        assert {row.supervision for row in foreign} == {"image"}
        assert rows_beside("mine", "fscs", "mask", 7, 3) == []

    def test_rows_of_augmented_episodes_stand_beside_those_alone(self):
        found = {augment: rows_beside("coco-20i", "fscs", "mask", 2, 1, augment) for augment in ("none", "partial", "full")}
        assert {row.title for row in found["full"]} == {"CST*", "EMAT"}
        assert {row.title for row in found["none"]} > {"CST*", "EMAT", "CST", "HSNet"}
        assert [row.average for row in found["partial"] if row.title == "EMAT"] == [{"exact_ratio": 80.25, "miou": 52.82}]
        assert {row.benchmark for row in found["full"]} == {"coco-20i"}
        assert rows_beside("coco-20i", "fscs", "tag", 2, 1, "full") == []
        assert ["EMAT" in words for words in sources(found["none"], "fscs")] == [False, True]
        assert ["EMAT" in words for words in sources(found["full"], "fscs")] == [True]
        assert ["EMAT" in words for words in sources([], "fscs")] == [False]


class TestRecord:
    def test_it_says_what_a_repetition_needs(self, evaluated):
        out, records = evaluated
        stored = json.loads((out / "ridge" / "test-fscs-1way-1shot-mask" / "record.json").read_text())
        assert stored == json.loads(json.dumps(records[1]))
        assert stored["weights"]["backbone"]["name"] == "random:vit-tiny-14"
        assert len(stored["weights"]["backbone"]["sha256"]) == 64
        assert stored["episodes"]["seed"] == 0
        assert [fold["fold"] for fold in stored["folds"]] == [0, 1]
        assert stored["protocol"] == "training-free"
        assert set(stored["versions"]) == {"python", "torch", "numpy"}

    def test_averages_are_over_folds_and_every_class_is_in_its_fold(self, evaluated):
        record = evaluated[1][0]
        for name, value in record["average"].items():
            assert value == pytest.approx(sum(fold["scores"][name] for fold in record["folds"]) / 2)
        assert [list(fold["classes"]) for fold in record["folds"]] == [["class-1", "class-2"], ["class-3"]]

    def test_methods_of_one_call_are_compared_with_the_first_in_the_same_episodes(self, evaluated):
        first, second = evaluated[1]
        assert "against" not in first
        assert second["against"]["method"] == "prototype"
        for name, facts in second["against"]["scores"].items():
            assert facts["difference"] == pytest.approx(second["average"][name] - first["average"][name])
            low, high = facts["interval"]
            assert low <= facts["difference"] <= high
        assert "| ridge less prototype | " in running.page_of_all(evaluated[1])

    def test_a_page_marks_published_rows_as_of_other_data(self, evaluated):
        page = (evaluated[0] / "prototype" / "test-fscs-1way-1shot-mask" / "page.md").read_text()
        assert "**Other data.**" in page
        own = [line for line in page.splitlines() if line.startswith("| **prototype**, here")]
        assert len(own) == 1
        assert "training-free" in own[0]
        published = [line for line in page.splitlines() if ", table " in line]
        assert any(line.startswith("| CST, table 4 | pascal-5i") for line in published)
        assert all("strict-folds" in line for line in published)
        columns = {len(line.split("|")) for line in page.splitlines() if line.startswith("|") and ("here" in line or ", table " in line)}
        assert columns == {9}

    def test_the_same_command_again_answers_no_episode_anew(self, benchmark, evaluated, monkeypatch):
        monkeypatch.setattr("likewise.episodes.evaluation.Runner._answer", lambda *given: pytest.fail("answered again"))
        again = run_all(Job(benchmark, [0, 1], evaluated[0]), [contender()], Setting(episodes=5))
        assert again[0]["average"] == evaluated[1][0]["average"]

    def test_an_untrained_checkpoint_is_called_so_whatever_is_said(self, benchmark):
        made = Contender(method="cst", backbone="random:vit-tiny-14", checkpoint="random", settings={"side": 70}, place=Place("cpu", "torch"))
        record = run_all(Job(benchmark, [0], trained_on="strict-folds"), [made], Setting(episodes=1))[0]
        assert record["protocol"] == "untrained"

    def test_the_commit_is_that_of_the_working_tree_that_a_file_is_in(self, tmp_path):
        inner = tmp_path / "tree" / ".git"
        (inner / "refs" / "heads").mkdir(parents=True)
        (inner / "HEAD").write_text("ref: refs/heads/main\n")
        (inner / "refs" / "heads" / "main").write_text("a" * 40 + "\n")
        assert commit(tmp_path / "tree" / "src" / "x.py") == "a" * 40
        second, linked = tmp_path / "second", inner / "worktrees" / "second"
        second.mkdir()
        linked.mkdir(parents=True)
        (second / ".git").write_text(f"gitdir: {linked}\n")
        (linked / "commondir").write_text("../..\n")
        (linked / "HEAD").write_text("ref: refs/heads/side\n")
        (inner / "packed-refs").write_text("# packed\n" + "b" * 40 + " refs/heads/side\n")
        assert commit(second / "x.py") == "b" * 40
        assert commit(tmp_path / "tree" / "venv" / "site-packages" / "likewise" / "x.py") is None


class TestTables:
    def test_a_table_is_repeated_as_far_as_the_data_carry_it(self, benchmark, tmp_path):
        page, records = run_table(Job(benchmark, [0], tmp_path), [contender()], Setting(episodes=2), "a.14")
        assert [record["episodes"]["way"] for record in records] == [1, 2]  # of five settings: the fold has two classes
        assert page.count("Not repeated: 3 ways of 2 classes.") == 1
        assert page.count("| **prototype**, here |") == 2
        assert "**Other data.**" in page
        assert re.search(r"CST, table a\.14 .* 36\.9 ", page)
        assert (tmp_path / "table-a.14.md").read_text() == page

    def test_image_level_tables_ask_for_tags(self, benchmark):
        records = run_table(Job(benchmark, [0]), [contender()], Setting(episodes=1), "2")[1]
        assert {record["episodes"]["labelling"] for record in records} == {"tag"}


class TestNames:
    def test_all_stands_for_methods_that_take_the_support_and_need_no_checkpoint(self):
        every = [one.method for one in contenders_named("all", contender(), "mask")]
        assert {"analogy", "prototype", "ridge"} <= set(every)
        assert "cst" not in every
        trained = {one.method: one.checkpoint for one in contenders_named("all", contender(checkpoint="random"), "tag")}
        assert (trained["cst"], trained["vtm"], trained["ridge"]) == ("random", "random", None)

    def test_a_checkpoint_that_says_whose_it_is_brings_that_method_alone_into_all(self, tmp_path):
        path = tmp_path / "x.safetensors"
        write_checkpoint({"x": torch.zeros(1)}, path, Card("vtm", {}))
        trained = {one.method: one.checkpoint for one in contenders_named("all", contender(checkpoint=str(path)), "mask")}
        assert trained["vtm"] == str(path)
        assert "cst" not in trained

    def test_several_are_named_with_commas_each_with_its_own_checkpoint(self):
        found = contenders_named("ridge, cst:random,cst:runs/pixel/best.safetensors,ridge", contender(), "mask")
        assert [(one.label, one.method, one.checkpoint) for one in found] == [
            ("ridge", "ridge", None),
            ("cst-random", "cst", "random"),
            ("cst-pixel-best", "cst", "runs/pixel/best.safetensors"),
        ]

    def test_a_setting_may_be_of_one_method(self):
        base = replace(contender(), settings={"cst.side": 280, "prototype.temperature": 5.0, "side": 112})
        settings = [one.settings for one in contenders_named("prototype,cst:random", base, "mask")]
        assert settings == [{"temperature": 5.0, "side": 112}, {"side": 280}]

    @pytest.mark.parametrize(
        ("text", "checkpoint", "words"),
        [("rigde", None, "did you mean 'ridge'"), (" , ", None, "no method is named"), ("cst:a/x,cst:a/x.ckpt", None, "two contenders are called 'cst-a-x'")],
    )
    def test_what_cannot_be_meant_is_refused(self, text, checkpoint, words):
        with pytest.raises(UsageError, match=words):
            contenders_named(text, contender(checkpoint=checkpoint), "mask")

    def test_folds_are_numbers_of_the_benchmark(self, benchmark):
        assert folds_named("all", benchmark) == [0, 1]
        assert folds_named("1", benchmark) == [1]
        for wrong in ("2", "-1", "first"):
            with pytest.raises(UsageError, match="numbers from 0 to 1"):
                folds_named(wrong, benchmark)

    def test_settings_of_different_episodes_have_different_folders(self):
        base = Setting()
        others = [{"way": 2}, {"shot": 5}, {"shot": (1,)}, {"labelling": "tag"}, {"frame": "fss"}, {"part": "val"}, {"seed": 1}, {"official": True}]
        names = [name_of(replace(base, **other)) for other in others] + [name_of(replace(base, pairing="joint"))]
        assert len({*names, name_of(base)}) == len(others) + 1  # one shot a class is one shot, however it is written
        assert name_of(replace(base, fold=3, episodes=9)) == name_of(base)

    def test_features_are_kept_where_asked_else_as_the_environment_says_else_up_to_a_limit_beside_the_results(self, monkeypatch, tmp_path):
        monkeypatch.delenv("LIKEWISE_FEATURES", raising=False)
        assert running.features_folder(None, None) == (None, None)
        assert running.features_folder(None, tmp_path) == (tmp_path / "features", running.UNASKED)
        monkeypatch.setenv("LIKEWISE_FEATURES", str(tmp_path / "kept"))
        assert running.features_folder(None, tmp_path) == (tmp_path / "kept", None)
        assert running.features_folder(Path("given"), tmp_path) == (Path("given"), None)
