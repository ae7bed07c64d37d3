"""A table of classes: columns image and class, spreadsheets, and every way in which a table can be wrong."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.data import ClassTable
from likewise.errors import InputError
from likewise.formats import read_support, read_truth
from likewise.formats.class_table import encoded, plain_cell, safe_cell


@pytest.fixture
def table(put, photo):
    """A function that writes labels.csv beside three images: the folder."""
    for name in ("a.jpg", "b.jpg", "deep/c.png"):
        put(f"set/{name}", photo)

    def write(text):
        return put("set/labels.csv", text).parent

    return write


def classes_of(folder):
    support = read_support(folder).support
    return {example.name: "_none" if example.labels.label is None else support.classes[example.labels.label] for example in support.examples}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_line_gives_an_image_its_class_whatever_other_columns_there_are(table, separator):
    lines = ["note,Class,image", "x,cat,a.jpg", ",_none,b.jpg", '"1",dog,deep/c.png']
    assert classes_of(table("\n".join(lines).replace(",", separator))) == {"a": "cat", "b": "_none", "deep/c": "dog"}


def test_the_mark_of_an_excel_file_is_no_part_of_the_first_column(table):
    assert classes_of(table("\ufeffimage,class\r\na.jpg,cat\r\n")) == {"a": "cat"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,label\na.jpg,cat\n", "one column 'class'"),
        ("image,class\na.jpg,cat\na.jpg,dog\n", "line 3: the image 'a.jpg' is given as 'cat' and 'dog'"),
        ("image,class\na.jpg,cat\na,cat\n", "line 3: the image 'a' is given as 'cat' twice"),
        ("image,class\na.jpg,\n", "line 2: there is no class"),
        ("image,class\n,cat\n", "line 2: there is no image"),
        ("image,class\na.jpg\n", "line 2: it has too few cells"),
        ("image,class\na.jpg,_none\n", "no class is named"),
        ("image,class\n../../a.jpg,cat\n", "lies outside"),
        ('image,class\n"a.jpg,cat\n', "no CSV file"),
        ("image,class\nz.jpg,cat\n", "not there: z"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(table, text, told):
    with pytest.raises(InputError, match=told):
        read_support(table(text))


def test_a_truth_needs_no_images(table):
    folder = table("image,class\nfar/away.jpg,cat\n")
    truth = read_truth(folder / "labels.csv")
    assert truth.classes[truth.labels("far/away.jpg", (5, 6)).label] == "cat"


def test_what_is_written_is_read_back_and_is_no_formula_to_a_spreadsheet(table):
    classes = ClassTable({1: "=SUM(A1)", 2: "dog, big"})
    lines = [
        {"image": "a.jpg", "confidence": 0.75, "probabilities": {"=SUM(A1)": 0.75, "dog, big": 0.25}},
        {"image": "b.jpg", "confidence": 0.625, "probabilities": {"=SUM(A1)": 0.25, "dog, big": 0.125}},
        {"image": "broken.jpg", "error": {}},
    ]
    text = b"".join(encoded(lines, classes)).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [
        ["image", "class", "probability", "confidence", "'=SUM(A1)", "dog, big"],
        ["a.jpg", "'=SUM(A1)", "0.750000", "0.750000", "0.750000", "0.250000"],
        ["b.jpg", "_none", "0.625000", "0.625000", "0.250000", "0.125000"],
    ]
    assert classes_of(table(text)) == {"a": "=SUM(A1)", "b": "_none"}


@given(st.text())
def test_every_name_survives_its_cell_and_none_begins_a_formula(name):
    assert plain_cell(safe_cell(name)) == name
    assert not safe_cell(name).startswith(("=", "+", "-", "@", "\t", "\r"))
