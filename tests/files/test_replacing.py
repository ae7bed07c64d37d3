"""Temporary files: whose they are, and when they go."""

import os
import re
import subprocess
import sys

import pytest

from likewise import files
from likewise.files import remove_leftovers, replacing, temporary_name

KILLED = """
import os, signal, sys
from pathlib import Path
from likewise.files import replacing
with replacing(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left(tmp_path):
    """The temporary file that a killed writer of `a.txt` leaves."""
    (tmp_path / "a.txt").write_text("before")
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.txt")], check=False).returncode == -9
    (found,) = (path for path in tmp_path.iterdir() if path.name.endswith(".tmp"))
    return found


def of_other(path, machine=None, process=None, start="0123abcd"):
    """The same file under the name that another writer would give it."""
    machine, process = machine or files._MACHINE, process or os.getpid()
    made = re.sub(r"\.[0-9a-f]{8}-\d+-[0-9a-f]{8}-", f".{machine}-{process}-{start}-", path.name)
    return path.rename(path.with_name(made))


def test_what_a_killed_writer_left_goes_when_another_process_first_writes_into_the_folder(left):
    assert left.with_name("a.txt").read_text() == "before"
    with replacing(left.with_name("b.txt")) as draft:
        draft.write_text("whole")
    assert sorted(path.name for path in left.parent.iterdir()) == ["a.txt", "b.txt"]


def test_a_process_lists_a_folder_once_and_not_at_every_file(tmp_path, monkeypatch):
    listed = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(str(folder)) or scan(folder))
    for number in range(5):
        with replacing(tmp_path / str(number)) as draft:
            draft.write_text("x")
    assert listed.count(str(tmp_path)) == 1


def test_those_of_living_writers_stay(left):
    other = of_other(left, process=os.getppid())
    remove_leftovers(left.parent)
    assert other.exists()
    with replacing(left.parent / "c.txt") as draft:
        draft.write_text("x")
        remove_leftovers(left.parent)
        assert draft.exists()


def test_a_writer_with_the_number_of_this_process_is_an_earlier_run_in_a_container(left):
    other = of_other(left)
    remove_leftovers(left.parent)
    assert not other.exists()


def test_those_of_other_machines_go_after_a_day(left):
    other = of_other(left, machine="fedcba98", process=1)
    remove_leftovers(left.parent)
    assert other.exists()
    os.utime(other, (0, other.stat().st_mtime - 2 * files.ABANDONED))
    remove_leftovers(left.parent)
    assert not other.exists()


def test_temporary_folders_go_too_and_files_of_other_programs_stay(left):
    folder = left.parent / left.name.replace(".tmp", "0.tmp")
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/file").write_text("x")
    others = [left.parent / name for name in (".a.txt.tmp", "x.tmp", ".a.12-3.tmp", f"{left.name}.png")]
    for other in others:
        other.write_text("x")
    remove_leftovers(left.parent)
    assert sorted(left.parent.iterdir()) == sorted([*others, left.parent / "a.txt"])


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    remove_leftovers(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["字" * 85, "x" * 255, "\U0001f600" * 63])
def test_names_as_long_as_the_system_allows_are_written(tmp_path, name):
    with replacing(tmp_path / name) as draft:
        draft.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_writers_of_one_file_in_one_process_do_not_share_a_draft():
    assert temporary_name("a") != temporary_name("a")
