"""A table of classes: a CSV file with a line an image and columns `image` and `class`.

    labels.csv beside the images, or in a folder whose images/ it tells of. Further columns are left alone. The class `_none` says that an image
    shows none of the classes.

The separator is a comma, a semicolon or a tab. A name that a spreadsheet would take for a formula (it begins with = + - or @) is written with an
apostrophe before it, which is taken off again when it is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from likewise.data import ClassTable, Example
from likewise.data.prediction import NONE_WORD, likeliest
from likewise.errors import InputError, close_match
from likewise.formats.class_files import check_classes, class_example, class_name, image_splits
from likewise.formats.dataset import Dataset, by_stem, match, name_images, without_ending
from likewise.formats.dataset_json import read_beside
from likewise.formats.files import inside, problems_error, read_text
from likewise.formats.scan import is_image, walk

NAME = "csv"
FILE = "labels.csv"
COLUMNS = ("image", "class", "probability", "confidence")  # of those that are written; a column a class follows
_SEPARATORS = ",;\t"
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are = + - @ in full width, which some spreadsheets take for them


def found(path: Path) -> str | None:
    """The layout in words, None if this is no table of classes nor a folder with one."""
    if path.is_dir():
        return FILE if (path / FILE).is_file() else None
    return path.name if path.suffix.lower() == ".csv" and path.is_file() else None


def opened(path: Path) -> Dataset:
    """The data set of a table. InputError lists every line that is wrong: no class, an image that is named twice, another that is not there."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"there is no {FILE}", where=str(path), remedy="Give the CSV file, or the folder that holds it")
    folder = file.parent
    root = folder / "images" if (folder / "images").is_dir() else folder
    rows = _rows(file)
    there = name_images(walk(root, is_image))
    labels, images = _named(rows, there, root, file)
    check_classes(list(labels.values()), file)
    about = read_beside(folder)
    table = about.table() or ClassTable.named_by(sorted({label for label in labels.values() if label != NONE_WORD}))
    strange = sorted(set(labels.values()) - {*table.names.values(), NONE_WORD})
    if strange:
        raise InputError(f"{strange[0]!r} is no class of dataset.json", where=str(file), remedy=close_match(strange[0], table.names.values()))

    def example(name: str) -> Example:
        return class_example(root / images[name], name, labels[name], table)

    return Dataset(NAME, folder, root, {**there, **images}, set(labels), example, file.name, table, splits=image_splits(about.split, labels))


def encoded(lines: Iterable[Mapping[str, Any]], classes: ClassTable) -> Iterable[bytes]:
    """The bytes of labels.csv in parts: for each line of a run {"image", "probabilities", "confidence"} its class and all probabilities, in UTF-8."""
    names = list(classes.names.values())
    yield table_line([*COLUMNS, *map(safe_cell, names)])
    for line in lines:
        probabilities = line.get("probabilities")
        if not probabilities:
            continue
        chosen = likeliest(probabilities)
        probability = 1 - sum(probabilities.values()) if chosen is None else probabilities[chosen]
        label = NONE_WORD if chosen is None else chosen
        numbers = [probability, line["confidence"], *(probabilities[name] for name in names)]
        yield table_line([safe_cell(line["image"]), safe_cell(label), *(f"{number:.6f}" for number in numbers)])


def safe_cell(text: str) -> str:
    """A name as a cell that no spreadsheet takes for a formula.

    >>> safe_cell("=1+1"), safe_cell("cat"), safe_cell("'=1")
    ("'=1+1", 'cat', "''=1")
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def plain_cell(cell: str) -> str:
    """The name that a cell stands for: the inverse of `safe_cell`.

    >>> plain_cell("'=1+1"), plain_cell("'cat'")
    ('=1+1', "'cat'")
    """
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def table_line(cells: Sequence[str]) -> bytes:
    """A line of the table, as bytes."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue().encode("utf-8", "surrogateescape")


def _rows(file: Path) -> list[tuple[int, str, str]]:
    """(line, image, class) of every row with anything in it. InputError for a head without the two columns, and for rows that are too short."""
    rows = cells_of(file)
    columns = [cell.strip().casefold() for cell in rows[0]] if rows else []
    missing = [name for name in COLUMNS[:2] if columns.count(name) != 1]
    if missing:
        raise InputError(f"its first line does not name one column {missing[0]!r}", where=str(file), remedy="Begin with a line: image,class")
    image, label = (columns.index(name) for name in COLUMNS[:2])
    found, problems = [], []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(image, label):
            problems.append((f"line {number}", "it has too few cells"))
        elif not row[image].strip() or not row[label].strip():
            which = "image" if not row[image].strip() else f"class; write {NONE_WORD} where it shows none"
            problems.append((f"line {number}", f"there is no {which}"))
        else:
            found.append((number, plain_cell(row[image].strip()), class_name(plain_cell(row[label].strip()))))
    if problems:
        raise problems_error(file, problems, "Correct these lines")
    return found


def cells_of(file: Path) -> list[list[str]]:
    """The cells of a CSV file by rows, its head first; the separator is that of the head. InputError for what is none."""
    text = read_text(file)
    head = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"it is no CSV file ({error})", where=str(file), remedy="Save it as CSV, names with separators in double quotes") from error


def _named(rows: Iterable[tuple[int, str, str]], there: Mapping[str, str], root: Path, file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Class and file ("" where there is none) of every image by name. InputError for an image that stands in two lines."""
    stems = by_stem(there)
    labels: dict[str, str] = {}
    images: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    for number, written, label in rows:
        inside(root, written, f"{file}, line {number}")
        name = match(written, there, stems) or without_ending(written)
        if name in labels:
            told = f"and {label!r}" if labels[name] != label else "twice"
            problems.append((f"line {number}", f"the image {written!r} is given as {labels[name]!r} {told}"))
            continue
        labels[name], images[name] = label, there.get(name, "")
    if problems:
        raise problems_error(file, problems, "Give each image one line")
    return labels, images
