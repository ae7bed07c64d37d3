"""Every writer fails at every stage: what stood there is whole, nothing on its way is left, and the next try succeeds."""

import ast
import errno
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import killed_writers
import pytest
from every_writer import WRITERS, content, temporary

from likewise.errors import LikewiseError
from likewise.formats import FORMATS

SOURCE = Path(__file__).parents[2] / "src/likewise"
OWN_WRITERS = ("replacing", "replacing_folder", "atomic_file")  # what makes the caller a writer of its own
# where files are opened to be written otherwise, and why that is safe
OTHERWISE = {
    "likewise.formats.files": "into the draft of atomic_file",
    "likewise.formats.name_list": "into a temporary folder of its own that goes with the process",
    "likewise.labelling.gallery": "a thumbnail stands before its line in the manifest, and is removed at the next start without one",
    "likewise.labelling.lines": "into a draft; lines are appended, and one that was cut is dropped at the next start",
    "likewise.episodes.journal": "lines are appended, and one that was cut is dropped at the next start",
    "likewise.training.record": "lines are appended, and one that was cut is dropped at the next start",
    "likewise.tensors": "into the draft of its caller",
    "likewise.testing.demo": "into the draft of weights.cache",
    "likewise.weights.archives": "into a draft of its caller",
    "likewise.weights.cache": "into a draft",
    "likewise.weights.download": "a part that the next start goes on with",
}
by_name = pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)


@pytest.fixture(scope="module")
def known():
    """By writer: what stands in a folder after the first content, and after the second over it."""
    return {}


@pytest.fixture
def wholes(writer, tmp_path, known):
    if writer.name not in known:
        place = tmp_path / "whole"
        place.mkdir()
        writer.prepare(place)
        known[writer.name] = []
        for version in (1, 2):
            writer.write(place, version)
            known[writer.name].append(content(place))
    return known[writer.name]


@pytest.fixture
def folder(writer, tmp_path):
    """A folder in which the first content stands."""
    place = tmp_path / "failing"
    place.mkdir()
    writer.prepare(place)
    writer.write(place, 1)
    return place


def check(writer, folder, wholes, what):
    """After a failure: every file is the first or the second, whole; after the next try it is the second."""
    first, second = wholes
    now = content(folder)
    assert temporary(now) == []
    assert all(now[name] in (first[name], second.get(name)) for name in first if name in now), what
    assert all(name in now for name in first if name in second), what
    assert now != second, f"{what} failed nothing"
    writer.write(folder, 2)
    assert content(folder) == second


@contextmanager
def limited(most):
    """Inside, the system itself refuses what goes beyond this many bytes of a file."""
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, allowed[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)


def fails(*arguments, **options):
    raise RuntimeError("while serialising")


def broken(*arguments, **options):
    raise OSError(errno.EIO, "the disk is broken")


@by_name
def test_a_failure_to_serialise_changes_no_file(writer, wholes, folder, monkeypatch):
    if callable(writer.serialiser):
        writer.serialiser(monkeypatch, fails)
    else:
        module, _, path = writer.serialiser.partition(":")
        target = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            target = getattr(target, parent)
        monkeypatch.setattr(target, name, fails)
    with pytest.raises(RuntimeError, match="while serialising"):
        writer.write(folder, 2)
    monkeypatch.undo()
    check(writer, folder, wholes, "serialising")


@by_name
def test_a_disk_that_is_full_in_the_middle_of_a_file_changes_no_file(writer, wholes, folder):
    first, second = wholes
    limit = max(len(data) for name, data in second.items() if data != first.get(name)) // 2
    with limited(limit), pytest.raises((LikewiseError, UserWarning), match="written"):
        writer.write(folder, 2)
    check(writer, folder, wholes, "writing")


@by_name
@pytest.mark.parametrize("calls", [("fsync",), ("replace", "rename", "link")], ids=["close", "rename"])
def test_a_disk_that_breaks_when_a_file_is_closed_or_renamed_changes_no_file(writer, wholes, folder, monkeypatch, calls):
    for call in calls:
        monkeypatch.setattr(os, call, broken)
    with pytest.raises((LikewiseError, UserWarning), match="written"):
        writer.write(folder, 2)
    monkeypatch.undo()
    check(writer, folder, wholes, calls[0])


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_writer_that_is_killed_harms_nothing_and_what_it_left_goes_at_the_next_start(tmp_path, call):
    done = subprocess.run([sys.executable, killed_writers.__file__, str(tmp_path), call], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["name"] for record in records] == [writer.name for writer in WRITERS]
    left = 0
    for record in records:
        before, killed, after = (record[stage] for stage in ("before", "killed", "after"))
        assert record["ended"] == [0, signal.SIGKILL, 0], record["name"]
        assert all(killed[name] in (digest, after.get(name)) for name, digest in before.items()), record["name"]
        assert temporary(before) == temporary(after) == [], record["name"]
        left += bool(temporary(killed))
    assert left > len(WRITERS) // 2


def of_lines(path, count):
    from likewise.labelling.lines import LineWriter, cut_partial_line, read_lines

    cut_partial_line(path)
    with LineWriter(path) as lines:
        for number in range(len(list(read_lines(path))), count):
            lines.write({"image": f"{number}.jpg"})


def of_outcomes(path, count):
    from likewise.episodes.journal import open_journal
    from likewise.episodes.outcome import Outcome

    with open_journal(path.parent, {"seed": 1}) as journal:
        for number in range(len(journal.outcomes), count):
            journal.add(Outcome(number, "a.png", (3,), (True,), (False,), ((1, number), (3, 4)), ((1, 2), (3, 4))))


def of_losses(path, count):
    from likewise.training.record import CsvLog, read_log

    done = len(read_log(path)) if path.is_file() else 0
    log = CsvLog(path, ["loss"], done)
    for number in range(done, count):
        log.add(number + 1, {"loss": 1 / (1 + number)})


@pytest.mark.parametrize(("name", "append"), [("manifest.jsonl", of_lines), ("episodes.jsonl", of_outcomes), ("losses.csv", of_losses)])
def test_what_is_appended_line_by_line_loses_the_cut_line_alone_and_goes_on(tmp_path, name, append):
    whole, path = tmp_path / "whole" / name, tmp_path / "cut" / name
    for each in (whole, path):
        each.parent.mkdir()
    append(whole, 90)
    append(path, 20)
    with limited(len(path.read_bytes()) + 50), pytest.raises((LikewiseError, OSError), match="File too large"):
        append(path, 90)
    assert whole.read_bytes().startswith(path.read_bytes())
    append(path, 90)
    assert path.read_bytes() == whole.read_bytes()
    assert temporary(content(tmp_path)) == []


def test_every_format_that_is_written_stands_in_the_table():
    names = {writer.name for writer in WRITERS}
    assert [each.name for each in FORMATS if each.writes and not {each.name, f"{each.name} at the end"} & names] == []
    assert len(names) == len(WRITERS)


def called(path):
    """The names of the functions that a module calls, and whether it opens files to write."""
    names, opens = set(), False
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            names.add(name)
            modes = [each.value for each in (*node.args, *(word.value for word in node.keywords)) for each in ast.walk(each) if isinstance(each, ast.Constant)]
            opens |= name in ("write_bytes", "write_text") or (name == "open" and any(isinstance(mode, str) and mode[:1] in ("w", "a", "x") for mode in modes))
    return names, opens


@pytest.fixture(scope="module")
def modules():
    """What each module calls, by its name."""
    paths = {".".join(("likewise", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in SOURCE.rglob("*.py")}
    return {name: called(path) for name, path in paths.items()}


def test_every_module_that_writes_in_a_way_of_its_own_stands_in_the_table(modules):
    own = {name for name, (names, _) in modules.items() if names & set(OWN_WRITERS)}
    covered = {writer.module for writer in WRITERS} | {"likewise.formats.converting", "likewise.labelling.refining"}  # by the writer of folders
    assert own - covered == set()
    assert {writer.module for writer in WRITERS} - own == {"likewise.files"}


def test_no_module_opens_files_to_write_past_the_writers(modules):
    found = {name for name, (_, opens) in modules.items() if opens and not name.startswith("likewise.cli")}
    assert found == set(OTHERWISE)
