"""Files of lines survive a kill at any byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import OutputError
from likewise.labelling.lines import LineWriter, cut_partial_line, read_lines, rounded, to_line, write_atomically

RECORDS = [{"image": "größe\n\udcff.jpg", "confidence": 0.25}, {"image": "b", "x": None}, {"image": "c" * 70_000}]
WHOLE = "".join(map(to_line, RECORDS)).encode("ascii")


@given(cut=st.one_of(st.integers(0, 200), st.integers(0, len(WHOLE))))
def test_a_file_cut_anywhere_keeps_exactly_its_whole_lines(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("lines") / "manifest.jsonl"
    path.write_bytes(WHOLE[:cut])
    cut_partial_line(path)
    assert list(read_lines(path)) == RECORDS[: WHOLE[:cut].count(b"\n")]


def test_names_of_any_bytes_come_back_as_they_were(tmp_path):
    with LineWriter(tmp_path / "lines") as lines:
        lines.write(RECORDS[0])
        lines.sync()
    with LineWriter(tmp_path / "lines") as lines:
        lines.write(RECORDS[1])
    assert list(read_lines(tmp_path / "lines")) == RECORDS[:2]


def test_no_file_has_no_lines(tmp_path):
    cut_partial_line(tmp_path / "none")
    assert list(read_lines(tmp_path / "none")) == []


@pytest.mark.parametrize("damage", [b'{"image": \n', b"[1]\n", b"\xff\xfe\n"])
def test_a_damaged_line_is_named_by_its_number(tmp_path, damage):
    (tmp_path / "lines").write_bytes(b'{"image": "a"}\n' + damage)
    with pytest.raises(OutputError) as raised:
        list(read_lines(tmp_path / "lines"))
    assert raised.value.where.endswith("line 2")


def test_numbers_are_rounded_to_stable_text_and_nan_becomes_null():
    assert json.loads(to_line({"x": rounded(1 / 3), "y": rounded(float("nan")), "z": rounded(float("inf"))})) == {"x": 0.333333, "y": None, "z": None}


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    write_atomically(tmp_path / "a", b"first")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "a", "no bytes")
    assert (tmp_path / "a").read_bytes() == b"first"
