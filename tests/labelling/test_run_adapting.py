"""A run that fits its task to its images first: stopped, sharded, or gone on with when there are more images, it is the same run."""

import json
import shutil

import pytest
from small_runs import content, with_ctrl_c, write_images

from likewise.cli import main
from likewise.errors import OutputError, UsageError
from likewise.labelling import RunOptions, Shard, label_folder, merge, plan

STOPPED = """
try:
    label_folder(likewise.load(sys.argv[2], engine="torch", precision="float32"), sys.argv[3], sys.argv[4], adapt="features", resume=True)
    code = 0
except KeyboardInterrupt:
    code = 130
"""


@pytest.fixture(scope="module")
def whole(task, images, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "labels"
    label_folder(task, images, out, adapt="features")
    return out


def fingerprint(out):
    return json.loads((out / "run.json").read_text())["fingerprint"]


def test_the_run_says_that_it_was_adapted_and_to_what(task, whole, undisturbed):
    assert fingerprint(whole)["adapted"].startswith("features, 38 images ")
    assert fingerprint(whole)["task"] != task.digest
    assert "adapted" not in fingerprint(undisturbed[0])
    assert "features, by 38 of them" in (whole / "report.html").read_text("utf-8")
    assert content(whole) != content(undisturbed[0])


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(task, images, whole, tmp_path):
    stopped = with_ctrl_c(STOPPED, 3, task.save(tmp_path / "small.task"), images, tmp_path / "labels")
    assert stopped.returncode == 130, stopped.stderr
    assert label_folder(task, images, tmp_path / "labels", adapt="features", resume=True).labelled == 38
    assert content(tmp_path / "labels") == content(whole)


def test_every_shard_adapts_to_the_whole_list(task, images, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "SMALLEST_WINDOW", 4)
    once = label_folder(task, images, tmp_path / "once", adapt="features", batch=2).out
    shards = [label_folder(task, images, tmp_path / str(number), adapt="features", batch=2, shard=Shard(number, 2)).out for number in (1, 2)]
    assert {fingerprint(each)["adapted"] for each in (*shards, once)} == {fingerprint(whole)["adapted"]}
    merge(shards, tmp_path / "merged")
    assert content(tmp_path / "merged") == content(once)


def test_images_that_come_later_and_labels_inside_the_folder_do_not_change_what_is_adapted_to(task, tmp_path):
    folder = write_images(tmp_path / "images", 5)
    out = label_folder(task, folder, folder / "labels", adapt="features").out
    before = fingerprint(out)
    write_images(folder, 3, start=5)
    assert label_folder(task, folder, out, adapt="features", resume=True).images == 8
    assert fingerprint(out) == before


def test_a_run_is_not_gone_on_with_otherwise_than_it_was_begun(task, images, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "labels")
    with pytest.raises(OutputError, match="adapted was features, 38 images"):
        label_folder(task, images, tmp_path / "labels", resume=True)


def test_another_word_and_a_method_without_presence_are_refused_before_anything_is_written(task, images, tmp_path, capsys):
    with pytest.raises(UsageError, match="no way 'feature'"):
        RunOptions(adapt="feature")
    path = task.save(tmp_path / "small.task")
    assert main(["label", str(path), str(images), "--out", str(tmp_path / "labels"), "--adapt", "both", "--engine", "torch"]) == 2
    assert "no curve of presence" in capsys.readouterr().err
    assert main(["label", str(path), str(images), "--dry-run", "--adapt", "features", "--engine", "torch"]) == 0
    assert "s an image" in capsys.readouterr().out
