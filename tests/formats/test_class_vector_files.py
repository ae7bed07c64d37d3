"""Files of class vectors: tables and NumPy archives."""

import csv
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InputError
from likewise.formats import read_support, recognise
from likewise.formats.class_table import safe_cell
from likewise.formats.class_vectors import read_class_vectors

NAMES = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=12).map(lambda text: f"n{text}")
NUMBERS = st.floats(-1e6, 1e6, width=32)


def tabled(path, rows, head=("class", "has wings", "is metal"), separator=","):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows([head, *rows])
    return path


@given(data=st.data(), width=st.integers(1, 4), archived=st.booleans())
def test_what_was_written_is_read_again_in_its_order(tmp_path_factory, data, width, archived):
    rows = data.draw(st.dictionaries(NAMES, st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=5))
    rows = {name: values for name, values in rows.items() if name == unicodedata.normalize("NFC", name)}
    folder = tmp_path_factory.mktemp("vectors")
    if not rows:
        return
    if archived:
        path = folder / "own.npz"
        np.savez(path, classes=np.array(list(rows)), vectors=np.array(list(rows.values()), np.float32))
    else:
        path = tabled(folder / "own.csv", [[safe_cell(name), *values] for name, values in rows.items()], ["class", *map(str, range(width))])
    found = read_class_vectors(path)
    assert list(found) == list(rows)
    assert all(found[name].tolist() == np.array(rows[name], np.float32).tolist() for name in rows)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_vectors_is_recognised_by_its_head_and_becomes_a_support(tmp_path, separator):
    path = tabled(tmp_path / "attributes.csv", [["ibis", 1, 0], ["anchor", 0, 1]], separator=separator)
    read = read_support(path)
    assert read.format == recognise(path) == "vectors"
    assert "2 class vectors" in read.sentence
    assert dict(read.support.classes.names) == {1: "ibis", 2: "anchor"}
    assert read.support.class_vectors[2].tolist() == [0, 1]


def test_a_table_that_names_images_is_one_of_classes(tmp_path):
    assert recognise(tabled(tmp_path / "labels.csv", [["ibis", "a.jpg"]], ["class", "image"])) == "csv"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([["ibis", 1, 0], ["ibis", 0, 1]], "line 3: the class 'ibis' stands twice"),
        ([["ibis", 1]], "line 2: it has 2 cells, the first line 3"),
        ([["ibis", "yes", 0]], "line 2: there is no number under 'has wings'"),
        ([["ibis", 1, "nan"]], "there is no number under 'is metal'"),
        ([["ibis", 1, ""]], "there is no number under 'is metal'"),
        ([["", 1, 0]], "line 2: there is no class"),
        ([], "no class is named"),
    ],
)
def test_every_wrong_line_of_a_table_is_named(tmp_path, rows, told):
    with pytest.raises(InputError, match=told):
        read_class_vectors(tabled(tmp_path / "own.csv", rows))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"classes": np.array(["a", "b"])}, "does not hold the arrays"),
        ({"classes": np.array(["a", "b"]), "vectors": np.zeros((3, 2))}, r"not names \(N,\) and numbers \(N, A\)"),
        ({"classes": np.array(["a", "a"]), "vectors": np.zeros((2, 2))}, "stands twice"),
        ({"classes": np.array(["a"]), "vectors": np.array([[np.inf]])}, "finite"),
        ({"classes": np.array(["a"], object), "vectors": np.zeros((1, 2))}, "does not hold the arrays"),
    ],
)
def test_an_archive_of_anything_else_is_refused(tmp_path, arrays, told):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(InputError, match=told):
        read_class_vectors(tmp_path / "own.npz")


def test_what_is_called_an_archive_and_is_none_is_refused(tmp_path):
    (tmp_path / "own.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match="does not hold"):
        read_class_vectors(tmp_path / "own.npz")


def test_the_attributes_that_come_with_the_recipes_are_one_row_for_each_of_the_48_classes(shared):
    found = read_class_vectors(Path(__file__).parents[2] / "recipes/classifiers/caltech_attributes.csv")
    assert sorted(found) == sorted(path.name for path in (shared / "caltech_mini/images").iterdir())
    rows = np.stack(list(found.values()))
    assert set(np.unique(rows)) == {0, 0.5, 1}
    assert (rows > 0).any(axis=0).all()
    assert len({row.tobytes() for row in rows}) == 48
