"""`likewise evaluate --frame nway` and its prompts on the command line."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "episodes"))
from benchmarks_made import instances_folder, labelled_folder

TINY = ("--backbone", "random:vit-tiny-14", "--engine", "torch", "--set", "side=56", "--frame", "nway")


@pytest.fixture
def folder(tmp_path):
    return labelled_folder(tmp_path / "squares", {1: 4, 2: 3, 3: 4}, {"both": {1: (2, 3), 3: (20, 30)}})


def test_both_metrics_stand_on_the_page_beside_published_figures_of_as_many_ways(run, folder):
    code, out, err = run("evaluate", "prototype,ridge", folder, *TINY, "--folds", 1, "--way", 2, "--episodes", 4)
    assert code == 0, err
    assert "# prototype on squares (test): N-way, 2-way 1-shot, mask\n" in out
    assert "| mIoU | FB-IoU | mIoU, official | FB-IoU, official |" in out
    assert "| Label Anything, published | coco-20i, 4 folds of 5 x 1,000 episodes | strict-folds |  |  | 31.9 |  |" in out
    assert "**Other data.**" in out
    assert "| ridge less prototype |" in out
    assert "| class-3 | 0 |" in out


def test_official_puts_its_scores_first_and_answers_five_reruns(run, folder):
    code, out, err = run("evaluate", "prototype", folder, *TINY, "--folds", 1, "--way", 2, "--episodes", 2, "--official")
    assert code == 0, err
    assert "| mIoU, official | FB-IoU, official | mIoU | FB-IoU |" in out
    assert "fold 0 of 10 episodes" in out


def test_coco_is_read_from_its_instances_files(run, tmp_path):
    folder = instances_folder(tmp_path / "coco", images=12, classes=4)
    code, out, err = run("evaluate", "prototype", f"coco-20i:{folder}", *TINY, "--fold", "0,3", "--episodes", 2, "--json")
    assert code == 0, err
    (record,) = json.loads(out)
    assert [list(fold["classes"]) for fold in record["folds"]] == [["thing-1"], ["thing-4"]]
    assert set(record["average"]) == {f"{name}{form}" for name in ("miou", "fb_iou", "bmiou") for form in ("", "_official")}


def test_a_stopped_run_goes_on_and_options_that_change_the_episodes_are_told_apart(run, folder, tmp_path, monkeypatch):
    asked = ("evaluate", "prototype", folder, *TINY, "--folds", 1, "--way", 2, "--support", "point", "--out", tmp_path / "out")
    assert run(*asked, "--points", 3, "--episodes", 2)[0] == 0
    place = tmp_path / "out" / "prototype" / "test-nway-2way-1shot-point-3points"
    before = (place / "fold0" / "episodes.jsonl").read_text()
    assert run(*asked, "--points", 3, "--episodes", 4)[0] == 0
    after = (place / "fold0" / "episodes.jsonl").read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == 4
    facts = json.loads((place / "fold0" / "run.json").read_text())
    assert {name: facts[name] for name in ("points", "negative", "prompts", "pairing")} == {"points": 3, "negative": 0, "prompts": "person", "pairing": "joint"}
    assert json.loads((place / "record.json").read_text())["episodes"]["points"] == 3
    assert run(*asked, "--points", 2, "--negative", 1, "--episodes", 1)[0] == 0
    assert (tmp_path / "out" / "prototype" / "test-nway-2way-1shot-point-2points-1negative").is_dir()


@pytest.mark.parametrize("frame", ["fscs", "fss", "nway"])
@pytest.mark.parametrize("support", [("scribble",), ("mix", "--prompts", "published"), ("box", "--prompts", "published"), ("point", "--points", "2")])
def test_prompts_are_taken_in_every_frame(run, folder, frame, support):
    code, _, err = run("evaluate", "prototype", folder, *TINY[:-1], frame, "--folds", 1, "--episodes", 2, "--support", *support)
    assert code == 0, err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--way", "4"), 2, "4 ways of 3 classes"),
        (("--way", "2", "--shot", "1,2"), 2, "the same number of shots"),
        (("--pairing", "pairs"), 2, "show all classes of an image"),
        (("--support", "mask", "--points", "3"), 2, "numbers of points belong"),
        (("--support", "mix"), 2, "--prompts published"),
        (("--support", "tag", "--prompts", "published"), 2, "makes no tags"),
        (("--way", "3", "--shot", "3"), 4, "a query and 3 shots need 4"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_weights_are_opened(run, folder, monkeypatch, arguments, code, words):
    monkeypatch.setattr("likewise.episodes.evaluation.open_provider", lambda *_: pytest.fail("slow work was begun"))
    found, out, err = run("evaluate", "prototype", folder, *TINY, "--folds", 1, *arguments)
    assert (found, out) == (code, "")
    assert words in err


def test_prompts_that_a_method_does_not_take_are_refused(run, folder, monkeypatch):
    from likewise.data import LabelKind
    from likewise.methods.registry import method_class

    monkeypatch.setattr(method_class("prototype"), "takes", frozenset({LabelKind.TAG, LabelKind.BOX}))
    found, _, err = run("evaluate", "prototype", folder, *TINY, "--folds", 1, "--support", "mix", "--prompts", "published")
    assert found == 2
    assert "does not take a mix as support" in err
