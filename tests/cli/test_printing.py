"""What a terminal is given: names of files and people as text, nothing that it obeys."""

import io
import json
import sys
import unicodedata

import pytest

from likewise.cli.printing import printable, say

ESCAPES = "\x1b]0;title\x07\x1b[2J"


def obeyed(text):
    """Characters of a text, but line breaks, that a terminal does not show."""
    return [letter for letter in text if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]


def test_every_character_is_shown_or_written_out():
    for number in range(sys.maxunicode + 1):
        shown = printable(chr(number))
        assert not obeyed(shown)
        assert "\n" not in shown
        assert shown == chr(number) or shown.isascii()
    assert printable("\u202eabc") == "\\u202eabc"
    assert printable("Größe \u4e2d\u6587 \U0001f600") == "Größe \u4e2d\u6587 \U0001f600"


def test_a_name_that_no_encoding_takes_is_printed(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    say("a\udcff.png\n  b")
    stream.flush()
    assert stream.buffer.getvalue() == b"a\\udcff.png\n  b\n"


@pytest.fixture
def escaping(examples):
    """Examples of which one has a name that clears the screen, and a target too."""
    for part in ("images", "masks"):
        (examples / part / "photo-0.png").rename(examples / part / f"{ESCAPES}.png")
    return examples


def test_inspect_shows_names_and_does_not_obey_them(run, escaping):
    code, out, err = run("inspect", escaping)
    assert code == 0
    assert "\\x1b[2J" in out
    assert not obeyed(out + err)
    assert next(example["name"] for example in json.loads(run("inspect", escaping, "--json")[1])["examples"]) == ESCAPES


def test_errors_problems_and_lists_show_names_and_do_not_obey_them(run, escaping):
    (escaping / "images" / f"{ESCAPES}.png").write_bytes(b"no image")
    for verb in (("check", escaping), ("inspect", escaping), ("convert", escaping, "out", "--format", "coco")):
        code, out, err = run(*verb)
        assert code == 4
        assert "\\x1b[2J" in out + err
        assert not obeyed(out + err)


def test_a_class_whose_name_a_terminal_obeys_is_refused_by_name(run, examples):
    (examples / "classes.json").write_text(json.dumps({"1": f"square{ESCAPES}"}))
    code, out, err = run("check", examples)
    assert code == 4
    assert "class 1" in out
    assert "classes" in out
    assert not obeyed(out + err)
