"""`likewise label` in-process: exit codes, stdout, stderr."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image
from small_runs import content, draw, with_ctrl_c, write_images

from likewise.cli import main


@pytest.fixture(scope="module")
def task_file(task, tmp_path_factory):
    return task.save(tmp_path_factory.mktemp("task") / "small.task")


@pytest.fixture
def label(task_file, capsys):
    """Run the verb on a small task: (exit code, stdout, stderr)."""

    def run(*arguments, source=task_file):
        code = main(["label", str(source), *map(str, arguments), "--engine", "torch", "--precision", "float32"])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_run_prints_its_result_to_stdout_and_what_to_do_next_to_stderr(label, tmp_path):
    code, out, err = label(write_images(tmp_path / "images", 5), "--out", tmp_path / "labels", "--profile")
    assert code == 0
    assert out.startswith("5 images: 5 labelled, 0 failed")
    assert "backbone" in out
    assert "everything but the backbone" in out
    assert "engine: torch float32 cpu" in err
    assert err.splitlines()[-1] == f"labels are in {tmp_path / 'labels'}; open {tmp_path / 'labels' / 'report.html'} to look at them"


def test_json_is_all_that_stands_on_stdout(label, tmp_path):
    code, out, _ = label(write_images(tmp_path / "images", 3), "--out", tmp_path / "labels", "--json")
    assert code == 0
    assert json.loads(out)["labelled"] == 3


def test_a_broken_image_makes_exit_code_5_after_the_rest_was_labelled(label, tmp_path):
    (write_images(tmp_path / "images", 3) / "broken.jpg").write_bytes(b"nothing")
    code, out, err = label(tmp_path / "images", "--out", tmp_path / "labels")
    assert code == 5
    assert "3 labelled, 1 failed" in out
    assert "1 of 4 images could not be labelled" in err
    assert "manifest.jsonl" in err


def test_a_dry_run_writes_nothing(label, tmp_path):
    code, out, _ = label(write_images(tmp_path / "images", 7), "--out", tmp_path / "labels", "--dry-run")
    assert code == 0
    assert "s an image, about" in out
    assert "for all 7" in out
    assert not (tmp_path / "labels").exists()
    code, out, _ = label(tmp_path / "images", "--out", tmp_path / "labels", "--dry-run", "--json")
    assert len(json.loads(out)["looked"]) == 5


def test_a_folder_that_holds_a_run_is_a_usage_error_until_resume_is_said(label, tmp_path):
    folder = write_images(tmp_path / "images", 3)
    assert label(folder, "--out", tmp_path / "labels")[0] == 0
    code, _, err = label(folder, "--out", tmp_path / "labels")
    assert code == 2
    assert "--resume" in err
    code, out, _ = label(folder, "--out", tmp_path / "labels", "--resume")
    assert code == 0
    assert out.startswith("3 images, 3 of them before")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--batch", "many"], 2, "--batch"),
        (["--only-unsure", "2"], 2, "--only-unsure"),
        (["--format", "nonsense"], 2, "nonsense"),
        (["--method", "nearest"], 2, "learned already"),
        (["--unlabelled", "unknown"], 2, "learned already; --unlabelled unknown"),
        (["--set", "k=3"], 2, "learned already; --set k=3"),
        (["--shard", "5/4"], 2, "--shard"),
        (["--list", "-", "--split", "query"], 2, "--split"),
        (["--truth", "/no/such/folder"], 4, "/no/such/folder"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(label, tmp_path, arguments, code, words):
    got, _, err = label(write_images(tmp_path / "images", 2), "--out", tmp_path / "labels", *arguments)
    assert got == code
    assert words in err
    assert not (tmp_path / "labels").exists() or not list((tmp_path / "labels").iterdir())


def test_what_unlabelled_pixels_are_decides_what_is_learned(label, tmp_path):
    pixels, labels = draw(0, (56, 84))
    labels[(labels == 1).cumsum(axis=1) > 6] = 0  # most of the disc is not labelled
    for name, drawn in (("images", pixels), ("masks", labels)):
        (tmp_path / "examples" / name).mkdir(parents=True)
        Image.fromarray(drawn).save(tmp_path / "examples" / name / "a.png")
    (tmp_path / "examples/classes.json").write_text('["disc"]')
    options = ("--backbone", "random:vit-tiny-14", "--method", "nearest")
    found = {}
    for unlabelled in ("background", "unknown"):
        out = tmp_path / unlabelled
        code, _, err = label(tmp_path / "examples", "--split", "all", "--out", out, *options, "--unlabelled", unlabelled, source=tmp_path / "examples")
        assert code == 0, err
        found[unlabelled] = int((np.asarray(Image.open(out / "a.png")) == 1).sum())
    assert found["unknown"] > 2 * found["background"]


def test_a_list_of_all_images_gives_the_run_of_their_folder(label, tmp_path, monkeypatch):
    folder = write_images(tmp_path / "images", 7)
    lines = "".join(f"{path.relative_to(folder)}\n" for path in folder.rglob("*.*g")).encode()
    (tmp_path / "list.txt").write_bytes(lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert label(folder, "--out", tmp_path / "whole")[0] == 0
    assert label(folder, "--list", tmp_path / "list.txt", "--out", tmp_path / "listed")[0] == 0
    assert label(folder, "--list", "-", "--out", tmp_path / "piped")[0] == 0
    assert content(tmp_path / "listed") == content(tmp_path / "piped") == content(tmp_path / "whole")


def test_a_list_beside_its_images_needs_no_folder(label, tmp_path):
    write_images(tmp_path, 3)
    (tmp_path / "some.txt").write_text("image 000.png\nimage 002.jpg\nnowhere.png\n")
    code, out, err = label("--list", tmp_path / "some.txt", "--out", tmp_path / "labels")
    assert code == 5
    assert out.startswith("3 images: 2 labelled, 1 failed")
    assert "some.txt: a list of 3 images" in err


def test_settings_of_the_method_are_given_as_to_learn(label, tmp_path):
    pixels, labels = draw(0, (56, 84))
    for name, drawn in (("images", pixels), ("masks", labels)):
        (tmp_path / "examples" / name).mkdir(parents=True)
        Image.fromarray(drawn).save(tmp_path / "examples" / name / "a.png")
    options = (tmp_path / "examples", "--split", "all", "--backbone", "random:vit-tiny-14", "--method", "proposals", "--dry-run")
    assert label(*options, "--set", "side=84", "--set", "count=5", source=tmp_path / "examples")[0] == 0
    code, _, err = label(*options, "--set", "counts=5", source=tmp_path / "examples")
    assert code == 2
    assert "did you mean 'count'?" in err


def test_a_run_without_images_is_a_usage_error(label, tmp_path):
    code, _, err = label("--out", tmp_path / "labels")
    assert code == 2
    assert "IMAGES" in err
    assert "--list" in err


def test_images_that_are_not_there_are_bad_input(label, tmp_path):
    code, _, err = label(tmp_path / "nowhere", "--out", tmp_path / "labels")
    assert code == 4
    assert "nowhere" in err


def test_ctrl_c_is_exit_code_130_and_says_how_to_go_on(task_file, tmp_path):
    images = write_images(tmp_path / "images", 9)
    given = ("label", task_file, images, "--out", tmp_path / "labels", "--engine", "torch", "--precision", "float32")
    found = with_ctrl_c("code = main(sys.argv[2:])", 1, *given)
    assert found.returncode == 130, found.stderr
    assert "Go on with --resume" in found.stderr


def test_examples_are_learned_from_and_their_own_folder_gives_the_other_split(label, tmp_path):
    from PIL import Image
    from small_runs import draw

    for folder in ("images", "masks"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for number in range(5):
        pixels, labels = draw(number, (50, 70))
        Image.fromarray(pixels).save(tmp_path / f"set/images/{number}.png")
        Image.fromarray(labels).save(tmp_path / f"set/masks/{number}.png")
    facts = {"classes": {"1": "disc", "3": "bar"}, "split": {"support": ["0", "1"], "query": ["2", "3", "4"]}}
    (tmp_path / "set/dataset.json").write_text(json.dumps(facts))
    learning = ("--method", "prototype", "--backbone", "random:vit-tiny-14", "--truth", tmp_path / "set")
    code, out, err = label(tmp_path / "set", "--out", tmp_path / "labels", *learning, source=tmp_path / "set")
    assert code == 0
    assert out.startswith("3 images")
    assert "mIoU" in out
    assert "index-png" in err
