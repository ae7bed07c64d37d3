"""Shards of a list, labelled apart and merged, are the run of one machine."""

import errno
import hashlib
import json
import os
import shutil

import pytest
from small_runs import content, write_images

from likewise.cli import main
from likewise.errors import InputError, OutputError, UsageError
from likewise.formats import list_images
from likewise.labelling import Shard, label_folder, merge, parts, plan
from likewise.labelling import folder as folder_module

COUNT, SHARDS, BATCH, WINDOW = 43, 3, 2, 8


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch):
    """Windows of eight images, so that a small list has several."""
    monkeypatch.setattr(plan, "SMALLEST_WINDOW", 4)


@pytest.fixture
def spread(monkeypatch):
    """Runs of more than ten images spread their labels, and have a part of the manifest for seven lines."""
    monkeypatch.setattr(folder_module, "SPREAD_ABOVE", 10)
    monkeypatch.setattr(parts, "LINES", 7)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("many") / "images", COUNT - 1)
    shutil.copyfile(folder / "image 002.jpg", folder / "IMAGE 040.jpg")  # its labels would have the name of those of image 040.png, in another window
    return folder


def in_shards(task, images, out, **options):
    return [label_folder(task, images, out / str(number), batch=BATCH, shard=Shard(number, SHARDS), **options).out for number in range(1, SHARDS + 1)]


def names_in(out):
    files = sorted((out / "manifest").glob("*.jsonl")) if (out / "manifest").is_dir() else [out / "manifest.jsonl"]
    return [json.loads(line)["image"] for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("options", [{"format": "index-png", "overlays": True}, {"format": "coco"}, {"format": "voc"}, {"only_unsure": 0.7}])
@pytest.mark.parametrize("layout", ["plain", "spread"])
def test_shards_together_are_the_run_over_the_whole_list_byte_for_byte(task, many, tmp_path, options, layout, request):
    if layout == "spread":
        request.getfixturevalue("spread")
    whole = label_folder(task, many, tmp_path / "whole", batch=BATCH, **options)
    shards = in_shards(task, many, tmp_path, **options)
    merged = merge(shards[::-1], tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert (tmp_path / "merged" / "manifest").is_dir() == (layout == "spread")
    for field in ("images", "labelled", "sure", "failed", "classes", "files"):
        assert getattr(merged, field) == getattr(whole, field)
    described, expected = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("merged", "whole"))
    assert described == expected
    assert "likewise" in (tmp_path / "merged/report.html").read_text("utf-8")


def test_a_window_belongs_to_the_shard_that_the_hash_of_its_first_path_says(task, many, tmp_path):
    names = list(list_images(many).names)
    expected = {number: [] for number in range(1, SHARDS + 1)}
    for first in range(0, COUNT, WINDOW):
        digest = hashlib.sha256(names[first].encode()).hexdigest()[:16]
        expected[int(digest, 16) % SHARDS + 1] += names[first : first + WINDOW]
    assert sum(bool(share) for share in expected.values()) > 1
    for number, out in enumerate(in_shards(task, many, tmp_path, report=False), 1):
        assert names_in(out) == expected[number]


def test_the_truth_of_shards_is_pooled_as_that_of_one_run(task, many, tmp_path):
    truth = tmp_path / "truth"
    label_folder(task, many, truth / "masks", batch=BATCH, only_unsure=0.9)
    for name in list_images(many).names:
        (truth / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(many / name, truth / "images" / name)
    (truth / "masks/classes.json").rename(truth / "classes.json")
    whole = label_folder(task, many, tmp_path / "whole", batch=BATCH, truth=truth)
    merged = merge(in_shards(task, many, tmp_path, truth=truth), tmp_path / "merged")
    assert whole.truth["images"] > 0
    assert merged.truth == whole.truth
    assert (tmp_path / "merged/truth.jsonl").read_bytes() == (tmp_path / "whole/truth.jsonl").read_bytes()


def test_a_shard_that_was_killed_is_resumed_to_the_same_bytes(task, many, spread, tmp_path):
    shards = in_shards(task, many, tmp_path)
    before = content(shards[1])
    last = max((shards[1] / "manifest").glob("*.jsonl"))
    os.truncate(last, last.stat().st_size - 5)
    with pytest.raises(OutputError, match="shard was 2/3, is 1/3"):
        label_folder(task, many, shards[1], batch=BATCH, shard=Shard(1, SHARDS), resume=True)
    label_folder(task, many, shards[1], batch=BATCH, shard=Shard(2, SHARDS), resume=True)
    assert content(shards[1]) == before


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_manifest_in_parts_is_resumed_to_the_same_bytes_wherever_it_ends(task, many, spread, tmp_path, cut):
    label_folder(task, many, tmp_path / "labels")
    before = content(tmp_path / "labels")
    kept = sorted((tmp_path / "labels/manifest").glob("*.jsonl"))
    assert [len(file.read_text().splitlines()) for file in kept] == [7] * 6 + [1]
    for file in kept[cut + 1 :]:
        file.unlink()
    os.truncate(kept[cut], kept[cut].stat().st_size // 2)
    summary = label_folder(task, many, tmp_path / "labels", resume=True)
    assert summary.images == COUNT
    assert content(tmp_path / "labels") == before


def test_a_merged_run_is_gone_on_with_where_images_are_new(task, tmp_path):
    images = write_images(tmp_path / "images", 20)
    merge(in_shards(task, images, tmp_path), tmp_path / "merged")
    write_images(images, 2, start=20)
    summary = label_folder(task, images, tmp_path / "merged", resume=True)
    assert (summary.images, summary.earlier, summary.edited) == (22, 20, ())


def test_the_layout_of_a_run_is_that_of_its_beginning(task, tmp_path, monkeypatch):
    images = write_images(tmp_path / "images", 6)
    label_folder(task, images, tmp_path / "labels", report=False)
    write_images(images, 2, start=6)
    monkeypatch.setattr(folder_module, "SPREAD_ABOVE", 3)
    label_folder(task, images, tmp_path / "labels", resume=True, report=False)
    assert len(names_in(tmp_path / "labels")) == 8
    assert not (tmp_path / "labels/labels").exists()
    assert len(list((tmp_path / "labels").rglob("image*.png"))) == 8


def test_a_shard_without_any_image_is_a_run_too(task, tmp_path):
    images = write_images(tmp_path / "images", 3)
    shards = in_shards(task, images, tmp_path)
    assert sorted(len(names_in(out)) for out in shards) == [0, 0, 3]
    assert merge(shards, tmp_path / "merged").labelled == 3


def test_labels_that_were_edited_are_taken_and_told_and_the_shard_keeps_its_own(task, many, tmp_path):
    shards = in_shards(task, many, tmp_path)
    edited = next(shards[0].rglob("*.png"))
    edited.write_bytes(b"better")
    summary = merge(shards, tmp_path / "merged")
    assert summary.edited == (edited.relative_to(shards[0]).as_posix(),)
    assert (tmp_path / "merged" / summary.edited[0]).read_bytes() == b"better" == edited.read_bytes()


def test_files_are_copied_where_there_are_no_links(task, many, tmp_path, monkeypatch):
    shards = in_shards(task, many, tmp_path)
    label_folder(task, many, tmp_path / "whole", batch=BATCH)

    def refuse(*_):
        raise PermissionError("this file system has no links")

    monkeypatch.setattr(os, "link", refuse)
    merge(shards, tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


def twice(shards, task, many, tmp_path):
    return [shards[0], shards[0], shards[2]]


def other_options(shards, task, many, tmp_path):
    label_folder(task, many, tmp_path / "other", batch=BATCH, shard=Shard(2, SHARDS), only_unsure=0.4)
    return [shards[0], tmp_path / "other", shards[2]]


def other_batch(shards, task, many, tmp_path):
    label_folder(task, many, tmp_path / "other", batch=4, shard=Shard(2, SHARDS))
    return [shards[0], tmp_path / "other", shards[2]]


def other_list(shards, task, many, tmp_path):
    label_folder(task, write_images(tmp_path / "fewer", COUNT - 1), tmp_path / "other", batch=BATCH, shard=Shard(2, SHARDS))
    return [shards[0], tmp_path / "other", shards[2]]


def other_count(shards, task, many, tmp_path):
    label_folder(task, many, tmp_path / "other", batch=BATCH, shard=Shard(2, 2))
    return [*shards, tmp_path / "other"]


def whole_run(shards, task, many, tmp_path):
    label_folder(task, many, tmp_path / "other", batch=BATCH)
    return [*shards, tmp_path / "other"]


def unfinished(shards, task, many, tmp_path):
    described = shards[1] / "run.json"
    described.write_text(described.read_text().replace('"finished": true', '"finished": false'))
    return shards


def no_run(shards, task, many, tmp_path):
    return [*shards, many]


def more_lines(shards, task, many, tmp_path):
    lines = (shards[1] / "manifest.jsonl").read_text().splitlines(keepends=True)
    (shards[1] / "manifest.jsonl").write_text("".join([*lines, lines[0]]))
    return shards


def other_lines(shards, task, many, tmp_path):
    lines = (shards[1] / "manifest.jsonl").read_text().splitlines(keepends=True)
    (shards[1] / "manifest.jsonl").write_text("".join(lines[::-1]))
    return shards


def lost_a_label(shards, task, many, tmp_path):
    next(shards[1].rglob("*.png")).unlink()
    return shards


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda shards, *_: shards[:1], "shards 2/3, 3/3 are not among the 1 folders"),
        (lambda shards, *_: shards[1:], "shard 1/3 is not among the 2 folders"),
        (twice, "it is shard 1/3, and so is"),
        (other_options, "only_unsure was None, is 0.4"),
        (other_batch, "batch was 2, is 4"),
        (other_list, "another list of images"),
        (other_count, "it is shard 2/2"),
        (whole_run, "not a shard"),
        (unfinished, "not finished"),
        (no_run, "holds no run"),
        (lost_a_label, "a label file is gone"),
        (more_lines, "more lines than its list"),
        (other_lines, "out of order"),
    ],
)
def test_what_is_not_all_shards_of_one_list_is_refused_and_nothing_is_written(task, many, tmp_path, wrong, words):
    given = wrong(in_shards(task, many, tmp_path, report=False), task, many, tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError) as raised:
        merge(given, tmp_path / "merged")
    assert words in raised.value.what
    assert raised.value.remedy
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_is_told_and_nothing_is_left(task, many, tmp_path, monkeypatch):
    shards = in_shards(task, many, tmp_path, report=False)
    before = sorted(tmp_path.iterdir())

    def refuse(source, target, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(OutputError, match="No space left"):
        merge(shards, tmp_path / "merged")
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_holds_something_is_not_merged_into(task, many, tmp_path):
    shards = in_shards(task, many, tmp_path, report=False)
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="something already"):
        merge(shards, tmp_path / "merged")
    assert [path.name for path in (tmp_path / "merged").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_shards_that_do_not_exist_are_refused_by_the_name_of_the_option(text):
    with pytest.raises(UsageError) as raised:
        Shard.parse(text)
    assert raised.value.where == "--shard"


def test_shards_are_labelled_and_merged_on_the_command_line(task, many, tmp_path, capsys):
    options = ("--engine", "torch", "--precision", "float32", "--batch", BATCH)
    source = task.save(tmp_path / "small.task")
    for number in (1, 2):
        given = ("label", source, many, "--out", tmp_path / f"part-{number}", "--shard", f"{number}/2", *options)
        assert main([str(each) for each in given]) == 0
    capsys.readouterr()
    folders = [str(tmp_path / f"part-{number}") for number in (1, 2)]
    assert main(["merge", *folders, "--out", str(tmp_path / "merged")]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{COUNT} images, {COUNT} of them before: {COUNT} labelled, 0 failed")
    assert said.err.splitlines()[-1] == f"labels are in {tmp_path / 'merged'}; open {tmp_path / 'merged' / 'report.html'} to look at them"
    assert main(["merge", *folders, "--out", str(tmp_path / "merged")]) == 2
    assert main(["merge", folders[0], "--out", str(tmp_path / "again")]) == 4


def test_failed_images_of_shards_make_exit_code_5_of_the_merge_too(task, tmp_path, capsys):
    images = write_images(tmp_path / "images", 9)
    (images / "broken.jpg").write_bytes(b"nothing")
    shards = in_shards(task, images, tmp_path)
    assert main(["merge", *map(str, shards), "--out", str(tmp_path / "merged"), "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["failed"] == 1
