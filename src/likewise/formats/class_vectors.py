"""Vectors of classes: what is known of each without an image, attributes or any embedding, as many numbers for each class.

    NAME.csv, whose first column is `class`, the others numbers under any heads:     class,has wings,is metal
                                                                                     anchor,0,1
    NAME.npz with two arrays: classes, names (N,), and vectors, numbers (N, A)

A spreadsheet's semicolons and tabs are read as in `class_table`, and so are names with an apostrophe before them.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Example
from likewise.data.class_vectors import checked_vectors
from likewise.errors import InputError
from likewise.formats.class_files import class_name
from likewise.formats.class_table import cells_of, plain_cell
from likewise.formats.dataset import Dataset
from likewise.formats.files import MAX_JSON, problems_error, sniffed

NAME = "vectors"
CLASS, IMAGE = "class", "image"
CLASSES, VECTORS = "classes", "vectors"  # of an .npz
_HEAD = 1 << 20  # bytes of a head that is looked at
_LARGEST = 1 << 30  # bytes of unpacked arrays

Vectors = dict[str, NDArray[np.float32]]


def found(path: Path) -> str | None:
    """The file's name, None if it is no table of vectors: one that names images is a table of classes."""
    if not path.is_file() or path.suffix.lower() not in (".csv", ".npz"):
        return None
    if path.suffix.lower() == ".npz":
        return path.name
    head = sniffed(path, MAX_JSON, _HEAD).partition(b"\n")[0].decode("utf-8-sig", "replace").replace(";", ",").replace("\t", ",")
    cells = [cell.strip().strip('"').strip().casefold() for cell in head.split(",")]
    return path.name if cells[0] == CLASS and IMAGE not in cells else None


def opened(path: Path) -> Dataset:
    """The classes and their vectors. InputError (line, class) for what is no number, a class that stands twice, and vectors of several lengths."""
    vectors = read_class_vectors(path)
    table = ClassTable.named_by(vectors)
    return Dataset(NAME, path.parent, path.parent, {}, (), _no_example, path.name, table, vectors=vectors)


def read_class_vectors(path: Path) -> Vectors:
    """Vectors (A,) by the name of their class, in the order of the file; see `opened`."""
    named = _archived(path) if path.suffix.lower() == ".npz" else _tabled(path)
    if not named:
        raise InputError("no class is named", where=str(path), remedy="Write a line a class: its name, then its numbers")
    try:
        checked_vectors(named, ClassTable.named_by(named))
    except InputError as error:
        raise InputError(error.what, where=f"{path}: {error.where}", remedy=error.remedy) from error
    return named


def _tabled(path: Path) -> Vectors:
    rows = cells_of(path)
    if not rows or not rows[0] or rows[0][0].strip().casefold() != CLASS or len(rows[0]) < 2:
        raise InputError("its first line does not begin with the column class, numbers behind it", where=str(path), remedy="Begin with a line: class,name,name")
    named: Vectors = {}
    problems: list[tuple[str, str]] = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        name, values = class_name(plain_cell(row[0].strip())), [_number(cell) for cell in row[1:]]
        wrong = [head for head, value in zip(rows[0][1:], values, strict=False) if not math.isfinite(value)]
        if not name or name in named:
            problems.append((f"line {number}", f"the class {name!r} stands twice" if name else "there is no class"))
        elif len(row) != len(rows[0]):
            problems.append((f"line {number}", f"it has {len(row)} cells, the first line {len(rows[0])}"))
        elif wrong:
            problems.append((f"line {number}", f"there is no number under {wrong[0]!r}"))
        else:
            with np.errstate(over="ignore"):  # what becomes infinite is refused by name
                named[name] = np.array(values, np.float32)
    if problems:
        raise problems_error(path, problems, "Correct these lines")
    return named


def _number(cell: str) -> float:
    try:
        return float(cell.strip())
    except ValueError:
        return math.nan


def _archived(path: Path) -> Vectors:
    wanted = f"Save it by numpy.savez(path, {CLASSES}=names, {VECTORS}=numbers)"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST:
                raise InputError(f"its arrays have more than {_LARGEST:,} bytes", where=str(path), remedy="Give fewer classes or numbers")
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            names, numbers = (np.asarray(arrays[key]) for key in (CLASSES, VECTORS))
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for damaged archives, MemoryError for a shape that lies
        raise InputError(f"it does not hold the arrays {CLASSES} and {VECTORS} ({error})", where=str(path), remedy=wanted) from error
    return _paired(names, numbers, path, wanted)


def _paired(names: NDArray[Any], numbers: NDArray[Any], path: Path, wanted: str) -> Vectors:
    fits = names.ndim == 1 and names.dtype.kind == "U" and numbers.ndim == 2 and len(names) == len(numbers) and numbers.dtype.kind in "biuf"
    if not fits:
        told = f"{CLASSES} is {names.dtype} {names.shape}, {VECTORS} {numbers.dtype} {numbers.shape}"
        raise InputError(f"{told}: not names (N,) and numbers (N, A)", where=str(path), remedy=wanted)
    with np.errstate(over="ignore"):
        found = {class_name(str(name)): np.asarray(row, np.float32) for name, row in zip(names, numbers, strict=True)}
    if len(found) < len(names):
        raise InputError("a class stands twice", where=str(path), remedy="Give each class one vector")
    return found


def _no_example(name: str) -> Example:
    raise KeyError(name)  # there is none: nothing is labelled
