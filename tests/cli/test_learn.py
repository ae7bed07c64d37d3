import json

import pytest

from likewise.cli.options import parse_settings
from likewise.errors import UsageError
from likewise.task import load


def names(path):
    return [example.name for example in load(path).support.examples]


def test_a_task_is_learned_and_written_as_one_file(run, tiny, examples, tmp_path):
    code, out, err = run("learn", examples, "--out", tmp_path / "a.task", *tiny)
    assert code == 0
    assert out.strip() == str(tmp_path / "a.task")
    assert "3 labelled images" in err
    assert f"likewise label {tmp_path / 'a.task'} IMAGES --out LABELS" in err.splitlines()[-1]
    assert names(tmp_path / "a.task") == ["photo-0", "photo-1", "photo-2"]


def test_a_file_that_is_there_is_not_overwritten_unasked(run, tiny, examples, learned):
    before = learned.read_bytes()
    code, _, err = run("learn", examples, "--out", learned, *tiny, "--method", "prototype")
    assert code == 2
    assert "--force" in err
    assert learned.read_bytes() == before
    assert run("learn", examples, "--out", learned, *tiny, "--method", "prototype", "--force")[0] == 0
    assert load(learned).method.name == "prototype"


def test_examples_are_added_to_an_existing_task(run, learned, more_examples):
    code, out, _ = run("learn", learned, "--add", more_examples, "--engine", "torch")
    assert (code, out.strip()) == (0, str(learned))
    assert names(learned) == ["photo-0", "photo-1", "photo-2", "photo-5"]


def test_a_task_forgets_an_example_into_another_file(run, learned, tmp_path):
    code, _, _ = run("learn", learned, "--forget", "photo-1", "--out", tmp_path / "b.task")
    assert code == 0
    assert names(tmp_path / "b.task") == ["photo-0", "photo-2"]
    assert names(learned) == ["photo-0", "photo-1", "photo-2"]


def test_another_file_is_not_overwritten_by_a_changed_task(run, learned, tmp_path):
    (tmp_path / "b.task").write_text("mine")
    assert run("learn", learned, "--forget", "photo-1", "--out", tmp_path / "b.task")[0] == 2
    assert (tmp_path / "b.task").read_text() == "mine"


def test_an_example_that_is_not_there_cannot_be_forgotten(run, learned):
    code, _, err = run("learn", learned, "--forget", "photo-9")
    assert code == 4
    assert "did you mean 'photo-" in err


def test_a_compact_task_cannot_be_changed(run, tiny, examples, tmp_path):
    run("learn", examples, "--out", tmp_path / "c.task", *tiny, "--compact", "--no-thumbnails")
    assert load(tmp_path / "c.task").thumbnails == []
    code, _, err = run("learn", tmp_path / "c.task", "--forget", "photo-1")
    assert code == 4
    assert "compact" in err


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--out", "x.bin"], "x.task"),
        ([], "--out cracks.task"),
        (["--out", "x.task", "--method", "ridg"], "did you mean 'ridge'"),
        (["--out", "x.task", "--backbone", "dinov2-smal"], "did you mean 'dinov2-small'"),
        (["--out", "x.task", "--set", "nonsense"], "--set strength=0.5"),
        (["--out", "x.task", "--set", "no_such=1"], "Known:"),
        (["--add", "more"], "Give its .task file"),
    ],
)
def test_a_wrong_option_is_a_usage_error_with_its_remedy(run, examples, tmp_path, arguments, remedy):
    code, out, err = run("learn", examples, *arguments)
    assert (code, out) == (2, "")
    assert remedy in err
    assert not (tmp_path / "x.task").exists()


def test_a_task_cannot_be_learned_from_a_task(run, learned, tmp_path):
    code, _, err = run("learn", learned, "--out", tmp_path / "b.task")
    assert code == 2
    assert "--add or --forget" in err


def test_a_changed_task_keeps_its_method(run, learned):
    code, _, err = run("learn", learned, "--forget", "photo-1", "--method", "ridge")
    assert code == 2
    assert "--method" in err


def test_without_weights_it_exits_3(run, examples, tmp_path):
    code, _, err = run("learn", examples, "--out", tmp_path / "a.task")
    assert code == 3
    assert "likewise weights pull" in err


def test_what_was_learned_is_json_where_it_is_asked_for(run, tiny, examples, tmp_path):
    code, out, _ = run("learn", examples, "--out", tmp_path / "a.task", *tiny, "--json")
    assert code == 0
    assert json.loads(out)["classes"] == {"1": "square"}


def test_settings_are_json_where_they_can_be():
    assert parse_settings(["a=0.5", "b=[1, 2]", "c=true", "d=some text", "e="]) == {"a": 0.5, "b": [1, 2], "c": True, "d": "some text", "e": ""}
    with pytest.raises(UsageError, match="KEY=VALUE"):
        parse_settings(["=3"])


def test_what_unlabelled_pixels_are_can_be_said_for_all_examples(run, tiny, examples, more_examples, tmp_path):
    def said(path):
        return [example.labels.unlabelled for example in load(path).support.examples]

    assert run("learn", examples, "--out", tmp_path / "a.task", *tiny, "--unlabelled", "unknown")[0] == 0
    assert said(tmp_path / "a.task") == ["unknown"] * 3
    assert run("learn", tmp_path / "a.task", "--add", more_examples, "--engine", "torch", "--unlabelled", "background")[0] == 0
    assert said(tmp_path / "a.task") == ["unknown"] * 3 + ["background"]
    assert run("learn", examples, "--out", tmp_path / "b.task", *tiny, "--unlabelled", "nothing")[0] == 2


def test_an_interrupted_tuning_says_how_to_go_on_and_goes_on(run, examples, tmp_path, monkeypatch):
    from likewise.methods.vtm import tuning

    step, taken = tuning.Tuner.step, []

    def interrupted(tuner, *given):
        if len(taken) == 3:
            raise KeyboardInterrupt
        taken.append(given)
        return step(tuner, *given)

    monkeypatch.setattr(tuning.Tuner, "step", interrupted)
    settings = [f"--set={each}" for each in ("tune=true", "tune_steps=4", "tune_every=1", "side=56", "nearly=9.0")]
    told = ["learn", examples, "--out", tmp_path / "a.task", "--method", "vtm", "--backbone", "random:vit-tiny-14", "--checkpoint", "random", *settings]
    code, _, err = run(*told)
    assert code == 130
    assert "The same command goes on" in err
    taken.clear()
    assert run(*told)[0] == 0
    assert len(taken) == 1
    (tuned,) = load(tmp_path / "a.task").memory.facts["tuned"]
    assert len(tuned["losses"]) == 4
