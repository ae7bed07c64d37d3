"""A run labels everything once, whatever happens to it on the way."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import COUNT, content, draw, with_ctrl_c, write_images

from likewise.data.images import file_digest
from likewise.errors import InputError, OutputError, UsageError
from likewise.formats import list_images
from likewise.labelling import RunOptions, label_folder
from likewise.labelling.folder import OutputFolder
from likewise.labelling.stream import is_out_of_memory


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def state(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


def test_every_image_has_a_line_in_the_order_of_the_list_with_the_hashes_of_its_files(images, undisturbed):
    out, summary = undisturbed
    lines = manifest(out)
    assert [line["image"] for line in lines] == list(list_images(images).names)
    assert summary.images == summary.labelled == len(lines) == COUNT
    for line in lines:
        assert line["sha256"] == file_digest(images / line["image"])
        height, width = line["size"]
        assert line["files"]
        for name, digest in line["files"].items():
            assert file_digest(out / name) == digest
            with Image.open(out / name) as label:
                assert label.size == (width, height)


def test_the_labels_written_are_those_that_the_task_predicts_alone(task, images, undisturbed):
    out, _ = undisturbed
    for line in manifest(out)[::11]:
        alone = task.predict(images / line["image"])
        with Image.open(out / next(iter(line["files"]))) as label:
            assert (np.asarray(label) == alone.labels).mean() >= 0.999  # a batch may differ from one image in the last bits
        assert line["confidence"] == pytest.approx(alone.confidence, abs=1e-3)
        assert set(line["present"]) == {name for name, p in alone.present.items() if p >= 0.5}


def test_the_manifest_holds_no_times_and_the_side_file_does(undisturbed):
    out, summary = undisturbed
    assert not any("seconds" in line or "time" in line for line in manifest(out))
    assert {"decode", "backbone", "method", "refine", "write"} <= set(summary.seconds)
    assert sum(json.loads(line)["images"] for line in (out / "times.jsonl").read_text().splitlines()) == COUNT


@pytest.mark.parametrize("share", [0.0, 0.31, 0.77, 0.999])
def test_a_manifest_cut_at_any_byte_is_resumed_to_the_same_bytes(task, images, undisturbed, tmp_path, share):
    out, expected = tmp_path / "labels", content(undisturbed[0])
    label_folder(task, images, out, report=False)
    lines = out / "manifest.jsonl"
    os.truncate(lines, int(lines.stat().st_size * share))
    summary = label_folder(task, images, out, resume=True, report=False)
    assert content(out) == expected
    assert summary.images == COUNT
    assert summary.earlier == len(expected["manifest.jsonl"][: int(len(expected["manifest.jsonl"]) * share)].splitlines()) - (0 < share < 1)


def test_a_resumed_run_groups_images_as_an_undisturbed_one(task, images, tmp_path, monkeypatch):
    whole, batches = task.predict_prepared, []

    def noted(batch, times=None):
        batches.append(tuple(image.source for image in batch))
        return whole(batch, times)

    monkeypatch.setattr(task, "predict_prepared", noted)
    label_folder(task, images, tmp_path, report=False)
    undisturbed = set(batches)
    for share in (0.18, 0.9):
        os.truncate(tmp_path / "manifest.jsonl", int((tmp_path / "manifest.jsonl").stat().st_size * share))
        batches.clear()
        label_folder(task, images, tmp_path, resume=True, report=False)
        assert 0 < len(batches) < len(undisturbed)
        assert set(batches) < undisturbed


LABEL = """
import sys, torch
torch.set_num_threads(1)
import likewise
from likewise.labelling import label_folder
task = likewise.load(sys.argv[1], device="cpu", engine="torch", precision="float32")
whole = task.predict_prepared
def slowly(*arguments):
    import time
    time.sleep(0.15)
    return whole(*arguments)
task.predict_prepared = slowly  # so that the parent finds the time to kill it halfway
label_folder(task, sys.argv[2], sys.argv[3], resume=True)
"""


def test_a_run_killed_twice_ends_with_the_same_bytes(task, images, undisturbed, tmp_path):
    task.save(tmp_path / "small.task")
    out, lines = tmp_path / "labels", tmp_path / "labels" / "manifest.jsonl"
    command = [sys.executable, "-W", "ignore", "-c", LABEL, str(tmp_path / "small.task"), str(images), str(out)]
    for wanted in (1, 20):
        process = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while (not lines.exists() or lines.read_bytes().count(b"\n") < wanted) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert wanted <= lines.read_bytes().count(b"\n") < COUNT
    label_folder(task, images, out, resume=True)
    assert content(out) == content(undisturbed[0])


def test_a_resumed_run_with_another_task_is_refused(task, images, undisturbed, tmp_path):
    label_folder(task, images, tmp_path, report=False)
    with pytest.raises(OutputError, match=r"only_unsure was None, is 0\.5"):
        label_folder(task, images, tmp_path, resume=True, only_unsure=0.5)


def test_images_that_cannot_be_read_are_lines_with_the_reason_and_the_rest_is_labelled(task, tmp_path):
    folder = write_images(tmp_path / "images", 6)
    (folder / "image 001.jpg").write_bytes((folder / "image 002.jpg").read_bytes()[:400])
    (folder / "empty.png").write_bytes(b"")
    summary = label_folder(task, folder, tmp_path / "labels")
    failed = [line for line in manifest(tmp_path / "labels") if "error" in line]
    assert [line["image"] for line in failed] == ["empty.png", "image 001.jpg"]
    assert all(line["error"]["what"] and line["error"]["remedy"] for line in failed)
    assert not any(str(tmp_path) in json.dumps(line) for line in failed)
    assert (summary.failed, summary.labelled, summary.images) == (2, 6, 8)


def test_a_file_edited_by_hand_is_left_alone_and_reported(task, images, tmp_path):
    label_folder(task, images, tmp_path, report=False)
    edited = tmp_path / next(iter(manifest(tmp_path)[7]["files"]))
    edited.write_bytes(b"better")
    summary = label_folder(task, images, tmp_path, resume=True, report=False)
    assert edited.read_bytes() == b"better"
    assert summary.edited == (edited.relative_to(tmp_path).as_posix(),)
    assert summary.failed == 0


def test_a_label_file_that_is_gone_is_written_again(task, images, undisturbed, tmp_path):
    label_folder(task, images, tmp_path)
    for line in manifest(tmp_path)[5:20:7]:
        (tmp_path / next(iter(line["files"]))).unlink()
    label_folder(task, images, tmp_path, resume=True)
    assert content(tmp_path) == content(undisturbed[0])


def test_a_foreign_file_in_the_way_is_left_alone_reported_and_counted(task, tmp_path):
    folder = write_images(tmp_path / "images", 5)
    out = tmp_path / "labels"
    out.mkdir()
    (out / "image 000.png").write_bytes(b"mine")
    (out / "notes.txt").write_text("mine")
    summary = label_folder(task, folder, out)
    assert (out / "image 000.png").read_bytes() == b"mine"
    assert (out / "notes.txt").read_text() == "mine"
    assert summary.kept == ("image 000.png",)
    assert summary.failed == 1
    assert "left alone" in manifest(out)[0]["error"]["what"]


def test_new_images_are_labelled_after_the_earlier_ones_and_nothing_is_done_twice(task, tmp_path):
    folder = write_images(tmp_path / "images", 6)
    label_folder(task, folder, tmp_path / "labels")
    before = (tmp_path / "labels/manifest.jsonl").read_bytes()
    write_images(folder, 3, start=6)
    summary = label_folder(task, folder, tmp_path / "labels", resume=True)
    after = (tmp_path / "labels/manifest.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 9 == summary.images
    assert summary.earlier == 6
    assert [part["images"] for part in state(tmp_path / "labels")["parts"]] == [6, 3]


def test_lack_of_memory_is_known_by_its_kind_or_its_words():
    for error in (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), MemoryError(), RuntimeError("std::bad_alloc: bad allocation")):
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_batches_halve_when_memory_runs_out_and_stay_so_after_resuming(task, images, tmp_path, monkeypatch):
    whole, sizes, noted, out = task.predict_prepared, [], [], tmp_path / "labels"

    def small_only(batch, times=None):
        sizes.append(len(batch))
        noted.append(state(out)["plan"]["halved"])
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return whole(batch, times)

    monkeypatch.setattr(task, "predict_prepared", small_only)
    summary = label_folder(task, images, out, batch=8)
    assert summary.labelled == COUNT
    assert sizes[:4] == [8, 4, 2, 2]
    assert max(sizes[2:]) == 2
    assert noted[:3] == [[], [[0, 4]], [[0, 2]]]
    assert state(out)["plan"]["halved"] == [[0, 2]]
    expected = content(out)
    os.truncate(out / "manifest.jsonl", 2000)
    sizes.clear()
    label_folder(task, images, out, resume=True)
    assert max(sizes) == 2
    assert content(out) == expected


def test_an_image_too_large_for_memory_even_alone_is_one_error(task, tmp_path, monkeypatch):
    folder = write_images(tmp_path / "images", 3)
    whole = task.predict_prepared

    def not_portrait(batch, times=None):
        if any(image.size == (88, 42) for image in batch):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
        return whole(batch, times)

    monkeypatch.setattr(task, "predict_prepared", not_portrait)
    summary = label_folder(task, folder, tmp_path / "labels")
    assert (summary.failed, summary.labelled) == (1, 2)
    assert "memory" in next(line for line in manifest(tmp_path / "labels") if "error" in line)["error"]["what"]


def test_other_errors_of_the_network_are_not_taken_for_lack_of_memory(task, images, tmp_path, monkeypatch):
    def broken(batch, times=None):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(task, "predict_prepared", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        label_folder(task, images, tmp_path)


PRESSED = """
try:
    code = 0
    label_folder(likewise.load(sys.argv[2], device="cpu", engine="torch", precision="float32"), sys.argv[3], sys.argv[4])
except KeyboardInterrupt as error:
    code = 130
    print(error, file=sys.stderr)
"""


def test_ctrl_c_finishes_the_batch_says_how_to_go_on_and_loses_nothing(task, images, undisturbed, tmp_path):
    out = tmp_path / "labels"
    found = with_ctrl_c(PRESSED, 3, task.save(tmp_path / "small.task"), images, out)
    assert found.returncode == 130, found.stderr
    assert "--resume" in found.stderr
    batches, predicted, as_before = found.stdout.splitlines()[-1].split()
    assert (batches, as_before) == ("3", "True")
    assert len(list(out.rglob("*.png"))) == int(predicted)
    assert not state(out)["finished"]
    label_folder(task, images, out, resume=True)
    assert content(out) == content(undisturbed[0])


def test_a_run_outside_the_main_thread_works_too(task, tmp_path):
    folder = write_images(tmp_path / "images", 3)
    summaries = []
    thread = threading.Thread(target=lambda: summaries.append(label_folder(task, folder, tmp_path / "labels")))
    thread.start()
    thread.join()
    assert summaries[0].labelled == 3


def test_only_unsure_writes_labels_below_the_threshold_alone(task, images, undisturbed, tmp_path):
    confidences = sorted(line["confidence"] for line in manifest(undisturbed[0]))
    threshold = confidences[20]
    summary = label_folder(task, images, tmp_path, only_unsure=threshold)
    for line in manifest(tmp_path):
        assert bool(line["files"]) == (line["confidence"] < threshold)
        assert all((tmp_path / name).exists() for name in line["files"])
    below = sum(confidence < threshold for confidence in confidences)
    assert (summary.labelled, summary.sure, summary.failed) == (below, COUNT - below, 0)


@pytest.mark.parametrize("format", ["coco", "labelme"])
def test_other_formats_resume_to_the_same_bytes_too(task, tmp_path, format):
    images = write_images(tmp_path / "images", 9)
    label_folder(task, images, tmp_path / "whole", format=format, overlays=True)
    label_folder(task, images, tmp_path / "cut", format=format, overlays=True)
    os.truncate(tmp_path / "cut/manifest.jsonl", 1500)
    label_folder(task, images, tmp_path / "cut", format=format, overlays=True, resume=True)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert len(list((tmp_path / "cut").rglob("*.overlay.jpg"))) == 9


def test_the_truth_is_pooled_over_killed_and_resumed_runs_alike(task, tmp_path):
    truth = tmp_path / "truth"
    for folder in ("images", "masks"):
        (truth / folder).mkdir(parents=True)
    for number in range(9):
        pixels, labels = draw(number, (50, 70))
        Image.fromarray(pixels).save(truth / f"images/{number}.png")
        Image.fromarray(labels).save(truth / f"masks/{number}.png")
    (truth / "classes.json").write_text(json.dumps({"1": "disc", "3": "bar <b>&"}))
    whole = label_folder(task, truth / "images", tmp_path / "whole", truth=truth)
    both, either = np.zeros(4), np.zeros(4)
    for number in range(9):
        with Image.open(tmp_path / f"whole/{number}.png") as image:
            labels = np.asarray(image)
        for c in (1, 3):
            both[c] += ((labels == c) & (draw(number, (50, 70))[1] == c)).sum()
            either[c] += ((labels == c) | (draw(number, (50, 70))[1] == c)).sum()
    assert whole.truth["images"] == 9
    assert whole.truth["miou"] == pytest.approx(np.mean(both[[1, 3]] / either[[1, 3]]), abs=1e-6)
    os.truncate(tmp_path / "whole/manifest.jsonl", (tmp_path / "whole/manifest.jsonl").stat().st_size - 100)
    assert label_folder(task, truth / "images", tmp_path / "whole", truth=truth, resume=True).truth == whole.truth


def test_a_truth_with_nothing_in_common_is_refused_before_any_work(task, images, tmp_path):
    truth = tmp_path / "truth"
    for folder in ("images", "masks"):
        (truth / folder).mkdir(parents=True)
        Image.fromarray(np.ones((5, 7), np.uint8)).save(truth / folder / "a.png")
    (truth / "classes.json").write_text('{"1": "something else"}')
    with pytest.raises(InputError, match="something else"):
        label_folder(task, images, tmp_path / "labels", truth=truth)
    assert not (tmp_path / "labels").exists()


def test_labels_inside_the_folder_of_images_are_not_taken_for_images(task, tmp_path):
    folder = write_images(tmp_path / "images", 4)
    label_folder(task, folder, folder / "labels")
    assert label_folder(task, folder, folder / "labels", resume=True).images == 4
    with pytest.raises(OutputError, match="images are in this folder"):
        label_folder(task, folder, folder)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": "many"}, {"only_unsure": 1.5}, {"workers": -1}, {"max_pixels": 0}])
def test_options_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(UsageError) as raised:
        RunOptions(**wrong)
    assert raised.value.where == "--" + next(iter(wrong)).replace("_", "-")


def test_images_above_the_limit_are_errors(task, tmp_path):
    folder = write_images(tmp_path / "images", 4)
    summary = label_folder(task, folder, tmp_path / "labels", max_pixels=3650)
    assert [line["image"] for line in manifest(tmp_path / "labels") if "error" in line] == ["image 000.png", "left/image 003.jpg"]
    assert (summary.failed, summary.labelled) == (2, 2)


def test_memory_stays_bounded_by_the_window_however_long_the_list(task, tmp_path, monkeypatch):
    folder = write_images(tmp_path / "images", 1)
    for number in range(110):
        os.link(folder / "image 000.png", folder / f"copy {number:03}.png")
    prepare, predict, alive, most = task.prepare, task.predict_prepared, [0], [0]
    lock = threading.Lock()

    def counted(source, **options):
        with lock:
            alive[0] += 1
            most[0] = max(most[0], alive[0])
        return prepare(source, **options)

    def forgotten(batch, times=None):
        with lock:
            alive[0] -= len(batch)
        return predict(batch, times)

    monkeypatch.setattr(task, "prepare", counted)
    monkeypatch.setattr(task, "predict_prepared", forgotten)
    label_folder(task, folder, tmp_path / "labels", report=False)
    assert most[0] <= 64  # one window at work and one ahead


def test_predictions_wait_for_a_slow_disk_instead_of_piling_up(task, images, tmp_path, monkeypatch):
    predict, commit, waiting, most = task.predict_prepared, OutputFolder.commit, [0], [0]

    def counted(batch, times=None):
        waiting[0] += len(batch)
        most[0] = max(most[0], waiting[0])
        return predict(batch, times)

    def slow(folder, name):
        time.sleep(0.05)
        waiting[0] -= 1
        return commit(folder, name)

    monkeypatch.setattr(task, "predict_prepared", counted)
    monkeypatch.setattr(OutputFolder, "commit", slow)
    label_folder(task, images, tmp_path, report=False, batch=4)
    assert most[0] <= 4 * 4  # one batch predicted, one written, two waiting


@pytest.mark.parametrize(("format", "failed"), [("voc", 1), ("cvat", 1), ("coco", 0)])
def test_a_name_that_a_format_cannot_hold_costs_its_image_alone(task, tmp_path, format, failed):
    folder = write_images(tmp_path / "images", 3)
    next(folder.glob("*.png")).rename(folder / os.fsdecode(b"x\xe9.png"))  # Latin-1, as old archives have it
    summary = label_folder(task, folder, tmp_path / "labels", format=format)
    assert (summary.images, summary.failed) == (3, failed)
    errors = {line["image"]: line["error"]["what"] for line in manifest(tmp_path / "labels") if "error" in line}
    assert list(errors) == ["x\udce9.png"][:failed]
    assert all("no UTF-8" in what for what in errors.values())
