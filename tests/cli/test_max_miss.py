"""`--max-miss` on the command line: what it says before the run, in the file and at the end, and what it refuses."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def mixed(tmp_path):
    """Eight examples, every other of which shows a red square."""
    for name in ("images", "masks"):
        (tmp_path / "mixed" / name).mkdir(parents=True)
    for index in range(8):
        pixels, mask = np.random.default_rng(index).integers(0, 120, (48, 70, 3)).astype(np.uint8), np.zeros((48, 70), np.uint8)
        mask[8:30, 20:50] = index % 2
        pixels[mask == 1] = (230, 40, 40)
        Image.fromarray(pixels).save(tmp_path / f"mixed/images/p{index}.png")
        Image.fromarray(mask).save(tmp_path / f"mixed/masks/p{index}.png")
    (tmp_path / "mixed/classes.json").write_text('{"classes": {"1": "square"}}')
    return tmp_path / "mixed"


@pytest.fixture
def small(tiny):
    return (*tiny, "--method", "prototype")


def test_a_run_says_the_rule_before_and_what_to_look_at_after(run, mixed, small, tmp_path):
    code, out, err = run("label", mixed, mixed / "images", "--out", tmp_path / "out", "--max-miss", "20%", *small)
    assert code == 0, err
    assert "square: looked at from " in err
    assert "misses at most 20.0 % on average" in err
    assert "cannot be promised" not in err
    assert "of 4 without it" in err
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert f"  square: look at {sum('square' in line['decided'] for line in lines)} of 8 images" in out.splitlines()


@pytest.mark.filterwarnings("always::UserWarning")
def test_what_cannot_be_promised_is_warned_of_once_before_labelling(run, mixed, small, tmp_path):
    code, _, err = run("label", mixed, mixed / "images", "--out", tmp_path / "out", "--max-miss", "1%", *small)
    assert code == 0, err
    assert err.count("cannot be promised") == 1
    assert "it takes 99 examples" in err
    assert err.index("cannot be promised") < err.index("labels are in")


def test_a_task_file_keeps_the_rule_and_a_run_may_ask_for_another(run, mixed, small, tmp_path):
    task = tmp_path / "a.task"
    code, _, err = run("learn", mixed, "--out", task, "--compact", "--max-miss", "0.2", *small)
    assert code == 0, err
    assert "square: looked at from" in err
    code, out, _ = run("inspect", task)
    assert code == 0
    assert "square, to miss 20 %: looked at from" in out
    assert json.loads(run("inspect", task, "--json")[1])["decisions"]["square"]["promised"] == pytest.approx(0.2)
    assert run("label", task, mixed / "images", "--out", tmp_path / "one")[0] == 0
    code, out, err = run("label", task, mixed / "images", "--out", tmp_path / "two", "--max-miss", "45%", "--json")
    assert code == 0, err
    assert "misses at most 40.0 % on average" in err
    assert json.loads(out)["decided"]["square"] <= 8


def test_a_compact_file_without_it_says_what_to_do(run, mixed, small, tmp_path):
    task = tmp_path / "a.task"
    assert run("learn", mixed, "--out", task, "--compact", *small)[0] == 0
    code, _, err = run("label", task, mixed / "images", "--out", tmp_path / "out", "--max-miss", "20%")
    assert code == 4
    assert "Learn it anew with --max-miss" in err
    assert not (tmp_path / "out").exists()


def test_a_task_that_grows_decides_anew(run, mixed, more_examples, small, tmp_path):
    task = tmp_path / "a.task"
    assert run("learn", mixed, "--out", task, "--max-miss", "20%", *small)[0] == 0
    code, _, err = run("learn", task, "--add", more_examples, "--max-miss", "0.4")
    assert code == 0, err
    assert "(5 left-out examples)" in err
    assert "square, to miss 40 %" in run("inspect", task)[1]


@pytest.mark.parametrize("wrong", ["120%", "abc", "0", "1"])
@pytest.mark.parametrize("verb", ["label", "learn"])
def test_what_is_no_share_is_refused_before_anything_is_read(run, verb, wrong, tmp_path):
    images = [tmp_path / "nothing"] if verb == "label" else []
    code, _, err = run(verb, tmp_path / "nothing here", *images, "--out", tmp_path / "a.task", "--max-miss", wrong)
    assert code == 2
    assert "--max-miss" in err
    assert "1%" in err
    assert not (tmp_path / "a.task").exists()


def test_a_number_below_nothing_is_refused(run, tmp_path):
    code, _, err = run("label", tmp_path / "nothing", tmp_path, "--out", tmp_path / "out", "--max-miss=-1")
    assert code == 2
    assert "--max-miss" in err


def test_it_is_not_taken_together_with_adapting_and_nothing_is_read_first(run, tmp_path):
    code, _, err = run("label", tmp_path / "nothing", tmp_path / "none", "--out", tmp_path / "out", "--max-miss", "5%", "--adapt", "prior")
    assert code == 2
    assert "--adapt changes" in err
