"""Lists of names on disk, and what is known of many names in little memory."""

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InputError
from likewise.formats import list_images, list_paths, name_list
from likewise.formats.dataset import without_ending
from likewise.formats.name_list import KnownNames, NameFile, name_line, sorted_names
from likewise.formats.scan import walk, walk_sorted
from likewise.formats.writing import clashing

FILE_NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=0x10FFFF, exclude_characters="/\0"), min_size=1, max_size=6)
SMALL = st.text("abA.-/", min_size=1, max_size=6)


@pytest.fixture(scope="module", autouse=True)
def _short_blocks():
    """Blocks and runs of a few names, so that a small list has several."""
    patch = pytest.MonkeyPatch()
    patch.setattr(name_list, "BLOCK", 3)
    patch.setattr(name_list, "RUN", 5)
    yield
    patch.undo()


@given(st.lists(st.one_of(FILE_NAMES, st.binary(min_size=1, max_size=5).map(os.fsdecode)), max_size=20))
def test_names_of_any_bytes_come_back_in_order_each_once(names):
    found = sorted_names(iter(names))
    assert list(found) == sorted(set(names)) == [found[place] for place in range(len(found))]


@given(st.lists(st.lists(FILE_NAMES, max_size=9), max_size=3))
def test_several_files_are_one_list(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("parts")
    for number, names in enumerate(parts):
        (folder / str(number)).write_bytes(b"".join(map(name_line, names)))
    found = NameFile(folder / str(number) for number in range(len(parts)))
    joined = [name for names in parts for name in names]
    assert list(found) == joined
    assert found[1:] == joined[1:]
    assert [found[-place] for place in range(1, len(joined) + 1)] == joined[::-1]


@pytest.mark.parametrize("names", ["a", "abcdefg"])
def test_places_beyond_the_end_are_none_of_a_list(names):
    with pytest.raises(IndexError):
        sorted_names(names)[len(names)]


def test_the_file_of_a_sorted_list_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(name_list.tempfile, "tempdir", str(tmp_path))
    found = sorted_names("cabfed")
    assert list(tmp_path.iterdir())
    del found
    assert not list(tmp_path.iterdir())


@given(st.lists(SMALL, max_size=15), st.lists(SMALL, max_size=15))
def test_new_names_are_those_that_were_not_there(known, names):
    assert list(KnownNames(known).new(names)) == [name for name in names if name not in set(known)]
    assert KnownNames(known).some(names) == any(name in known for name in names)


@given(st.lists(st.text("aAb./", min_size=1, max_size=5), max_size=12, unique=True))
def test_names_clash_if_the_labels_of_two_would_have_one_name(names):
    stems = [without_ending(name).casefold() for name in names]
    same = {name for name, own in zip(names, stems, strict=True) if stems.count(own) > 1}
    beside = {name for name, own in zip(names, stems, strict=True) if own.endswith(".a") and own[:-2] in stems}
    assert clashing(names, [".a"]) == same | beside


def tree(folder: Path, files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")


def test_a_sorted_walk_finds_what_a_walk_finds_in_order(tmp_path):
    tree(tmp_path, ["b/x.png", "b.png", "b-1.png", "b/x/y.png", "a/z.png", "a/.hidden.png", ".b/x.png", "c.txt", "b0/q.png"])
    found = list(walk_sorted(tmp_path, lambda name: name.endswith(".png")))
    assert found == sorted(walk(tmp_path, lambda name: name.endswith(".png")))
    assert len(found) == 6


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """What a list says is there, from a file and from standard input: the names, of both."""

    def read(text: bytes, root=None):
        (tmp_path / "list.txt").write_bytes(text)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        monkeypatch.chdir(tmp_path)
        one, two = list_paths(tmp_path / "list.txt", root), list_paths("-", root)
        assert list(one.names) == list(two.names)
        assert one.root.resolve() == two.root.resolve()
        return list(one.names)

    return read


def test_the_order_of_lines_and_a_path_that_comes_twice_change_nothing(listed):
    assert listed(b"b.png\r\n\nleft//a.png\n./b.png\n#c.png\nleft/../a.png") == ["#c.png", "a.png", "b.png", "left/a.png"]


def test_a_list_of_a_folder_is_the_list_of_its_images(listed, tmp_path):
    tree(tmp_path / "images", ["b/x.png", "b.png", "b-1.jpg", "a/z.png"])
    lines = "".join(f"{path}\n" for path in (tmp_path / "images").rglob("*.*g"))
    assert listed(lines.encode(), tmp_path / "images") == list(list_images(tmp_path / "images").names)


def test_paths_of_any_bytes_are_taken(listed):
    assert listed(b"\xff.png\nb c.png\n") == ["b c.png", os.fsdecode(b"\xff.png")]


@pytest.mark.parametrize("line", [b"../a.png", b"a/../../b.png", b"/etc/passwd", b".", b"a\0b.png"])
def test_a_path_outside_is_refused_with_its_line(listed, line):
    with pytest.raises(InputError, match="is no file inside") as raised:
        listed(b"good.png\n" + line + b"\n")
    assert raised.value.where.endswith("list.txt, line 2")


def test_an_empty_list_and_one_that_is_not_there_are_refused(listed, tmp_path):
    with pytest.raises(InputError, match="names no image"):
        listed(b"\n \n")
    with pytest.raises(InputError, match="cannot be read"):
        list_paths(tmp_path / "nowhere.txt")
