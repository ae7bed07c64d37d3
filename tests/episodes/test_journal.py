"""The lines of an evaluation: what a killed run leaves, and folders of something else."""

import json

import pytest

from likewise.episodes.journal import open_journal
from likewise.episodes.outcome import Outcome
from likewise.errors import OutputError

FACTS = {"method": "ridge", "shot": (1, 5)}


def outcome(index):
    return Outcome(index, f"q{index}", [3], [True], [False], [[4, 0], [9, 2]], [[4, 0], [9, 2]])


def write(folder, indices):
    with open_journal(folder, FACTS) as journal:
        for index in indices:
            journal.add(outcome(index))


def test_what_was_added_is_there_again(tmp_path):
    write(tmp_path / "a", range(3))
    write(tmp_path / "a", range(3, 5))
    with open_journal(tmp_path / "a", FACTS) as journal:
        assert journal.outcomes == [outcome(index) for index in range(5)]


def test_a_line_that_was_cut_short_is_done_again(tmp_path):
    write(tmp_path / "a", range(4))
    lines = tmp_path / "a" / "episodes.jsonl"
    lines.write_bytes(lines.read_bytes()[:-7])
    with open_journal(tmp_path / "a", FACTS) as journal:
        assert [one.index for one in journal.outcomes] == [0, 1, 2]
        journal.add(outcome(3))
    with open_journal(tmp_path / "a", FACTS) as journal:
        assert journal.outcomes == [outcome(index) for index in range(4)]


def test_outcomes_of_something_else_are_left_alone(tmp_path):
    write(tmp_path / "a", range(2))
    before = (tmp_path / "a" / "episodes.jsonl").read_bytes()
    with pytest.raises(OutputError, match=r"differs in method \('ridge', now 'nearest'\)"), open_journal(tmp_path / "a", {**FACTS, "method": "nearest"}):
        pass
    assert (tmp_path / "a" / "episodes.jsonl").read_bytes() == before


def test_edited_lines_are_refused(tmp_path):
    write(tmp_path / "a", range(3))
    lines = tmp_path / "a" / "episodes.jsonl"
    kept = lines.read_text().splitlines(keepends=True)
    for edited in (kept[0] + kept[2], kept[0] + json.dumps({"index": 1}) + "\n", "what\n"):
        lines.write_text(edited)
        with pytest.raises(OutputError, match="it was edited"), open_journal(tmp_path / "a", FACTS):
            pass


def test_two_evaluations_cannot_write_to_one_folder(tmp_path):
    with open_journal(tmp_path / "a", FACTS), pytest.raises(OutputError, match="another evaluation works on it"), open_journal(tmp_path / "a", FACTS):
        pass


def test_lines_of_which_nothing_is_said_are_not_taken(tmp_path):
    write(tmp_path / "a", range(2))
    (tmp_path / "a" / "run.json").unlink()
    with pytest.raises(OutputError, match="nothing says what they are"), open_journal(tmp_path / "a", FACTS):
        pass


def test_a_folder_that_cannot_be_made_is_an_error_of_the_output(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"), open_journal(tmp_path / "file" / "a", FACTS):
        pass
