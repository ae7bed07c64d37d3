"""Runs whose disk fails: an error in words, everything that stood there whole, and `--resume` ends with the same bytes."""

import errno
import os
import resource

import pytest
from small_runs import content

from likewise.errors import OutputError
from likewise.labelling import label_folder


def temporary(out):
    return [path.name for path in out.rglob("*.tmp")]


@pytest.mark.parametrize("name", ["list-1.txt", "run.json", "classes.json", "report.html", "image 007.png"])
def test_a_file_that_cannot_be_renamed_is_said_and_the_run_goes_on_later(task, images, undisturbed, tmp_path, monkeypatch, name):
    out = tmp_path / "labels"

    def refused(call):
        def wrapped(source, target, *arguments, **options):
            if os.path.basename(target) == name:
                raise OSError(errno.EIO, "the disk is broken", str(target))
            return call(source, target, *arguments, **options)

        return wrapped

    for call in ("replace", "link"):
        monkeypatch.setattr(os, call, refused(getattr(os, call)))
    with pytest.raises(OutputError, match="the disk is broken"):
        label_folder(task, images, out)
    monkeypatch.undo()
    assert temporary(out) == []
    whole = content(undisturbed[0])
    now = {file: data for file, data in content(out).items() if not file.startswith(".likewise/staging")}
    assert all(whole[file].startswith(data) if file.endswith(".jsonl") else whole[file] == data for file, data in now.items())
    label_folder(task, images, out, resume=True)
    assert content(out) == whole


@pytest.mark.parametrize("limit", [300, 700, 6_000, 40_000])
def test_a_disk_that_is_full_cuts_a_line_at_most_and_the_run_goes_on_later(task, images, undisturbed, tmp_path, limit):
    out, allowed = tmp_path / "labels", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, allowed[1]))  # the system itself refuses what goes beyond
    try:
        with pytest.raises(OutputError, match="File too large"):
            label_folder(task, images, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert temporary(out) == []
    whole = content(undisturbed[0])
    manifest = out / "manifest.jsonl"
    assert not manifest.exists() or whole["manifest.jsonl"].startswith(manifest.read_bytes())
    label_folder(task, images, out, resume=True)
    assert content(out) == whole
