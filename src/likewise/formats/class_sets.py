"""Data sets of classes of whole images as they are written from labels: a table, or a folder a class."""

from __future__ import annotations

from pathlib import Path

from likewise.data import ClassTable
from likewise.data.prediction import NONE_WORD
from likewise.formats.class_table import COLUMNS, FILE, safe_cell, table_line
from likewise.formats.class_writer import folder_names
from likewise.formats.dataset import without_ending
from likewise.formats.encoder import Encoder
from likewise.formats.files import atomic_file
from likewise.formats.scan import walk
from likewise.formats.sheet import Need, Sheet

_PARTS = ".csv"


def _word(sheet: Sheet) -> str | None:
    """The class of a sheet, `_none` where it shows none of them, None where it says nothing of the whole image."""
    return sheet.classes[sheet.label] if sheet.label is not None else NONE_WORD if sheet.shows_none else None


def _row(stem: str, sheet: Sheet) -> dict[str, bytes]:
    word = _word(sheet)
    return {} if word is None else {f"{_PARTS}/{stem}.csv": table_line([safe_cell(sheet.name), safe_cell(word)])}


def _table(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    """Merge the lines of all images into labels.csv."""
    del classes
    with atomic_file(out / FILE) as stream:
        stream.write(table_line(COLUMNS[:2]))
        for part in sorted(walk(folder / _PARTS, lambda name: True)) if (folder / _PARTS).is_dir() else []:
            stream.write((folder / _PARTS / part).read_bytes())
    return [Path(FILE)]


def _in_class(sheet: Sheet) -> str:
    """The place of an image in the folder of its class, "" for one that is in none."""
    word = _word(sheet)
    return "" if word is None else f"{folder_names(sheet.classes)[word]}/{sheet.name}"


_HOLDS: frozenset[Need] = frozenset({"class of the image"})
ENCODERS = {
    "csv": Encoder(_HOLDS, lambda stem: [f"{_PARTS}/{stem}.csv"], _row, _table, ".csv", None, parts=_PARTS),
    "folders": Encoder(
        _HOLDS,
        lambda stem: [],
        lambda stem, sheet: {},
        lambda folder, out, classes: [],
        "",
        None,
        images=_in_class,
        name=lambda sheet: without_ending(_in_class(sheet)),
    ),
}
