"""Which classes a fold trains on, validates by and tests: given by a file or a data set, or cut by class."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from likewise.data import ClassTable
from likewise.episodes.benchmark import Part
from likewise.errors import InputError, UsageError
from likewise.formats.files import read_bytes, read_json

FOLDS = 4  # as many as Pascal-5i and COCO-20i have
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Folding:
    """The class numbers of each part, by fold; origin says in words where they are from."""

    parts: Sequence[Mapping[Part, tuple[int, ...]]]
    origin: str

    def classes(self, part: Part, fold: int, where: str) -> tuple[int, ...]:
        """The classes of a part of a fold. UsageError for a fold that is not there, InputError for a part without classes."""
        if not 0 <= fold < len(self.parts):
            raise UsageError(f"there is no fold {fold}", where=where, remedy=f"Folds are 0 to {len(self.parts) - 1} ({self.origin})")
        found = self.parts[fold].get(part, ())
        if not found:
            raise InputError(f"part {part!r} of fold {fold} has no class", where=where, remedy=f"Choose another part, or give folds by a file ({self.origin})")
        return found


def cut(numbers: Sequence[int], folds: int) -> Folding:
    """Folds of neighbouring classes: each tests (and validates by) its own block and trains on the others.

    A single fold has all classes in every part: for methods that are not trained.

    >>> cut([1, 2, 4, 5, 6], 2).parts[1]
    {'train': (1, 2, 4), 'val': (5, 6), 'test': (5, 6)}
    """
    if not 1 <= folds <= max(len(numbers), 1):
        raise UsageError(f"{folds} folds of {len(numbers)} classes", where="folds", remedy="Ask for at least one, and at most as many as there are classes")
    edges = [-(-len(numbers) * fold // folds) for fold in range(folds + 1)]
    blocks = [tuple(numbers[start:end]) for start, end in itertools.pairwise(edges)]
    parts: list[Mapping[Part, tuple[int, ...]]] = []
    for block in blocks:
        others = tuple(number for number in numbers if number not in block) if folds > 1 else block
        parts.append({"train": others, "val": block, "test": block})
    return Folding(parts, f"{folds} blocks of classes in order" if folds > 1 else "one fold of all classes")


def declared(table: ClassTable, splits: Mapping[str, Sequence[str]]) -> Folding | None:
    """The single fold that a data set says by splits of class names called train, val and test; None where it says none."""
    names = set(table.names.values())
    parts = {part: splits[part] for part in PARTS if splits.get(part)}
    if not parts or not all(set(listed) <= names for listed in parts.values()):
        return None
    return Folding([{part: tuple(table.number(name) for name in listed) for part, listed in parts.items()}], "split of dataset.json")


def read_folds(path: Path, table: ClassTable) -> Folding:
    """Folds from a small TOML or JSON file: `folds = [["cat", "dog"], ["car"]]`, or `train`, `val` and `test` lists.

    Raises InputError for a file that says neither, or names a class that is not there or stands twice.
    """
    data = _content(path)
    lists = {key: value for key, value in data.items() if key in ("folds", *PARTS)}
    if not lists or lists.get("folds") == []:
        raise InputError("it says no folds", where=str(path), remedy='Write folds = [["cat", "dog"], ["car"]], or train, val and test')
    if "folds" in lists:
        blocks = [_numbers(block, table, path) for block in _listed(lists["folds"], path)]
        every = _once([number for block in blocks for number in block], table, path)
        if not all(blocks):
            raise InputError(f"fold {blocks.index(())} has no class", where=str(path), remedy="Give each fold at least one class")
        return Folding([{"train": tuple(number for number in every if number not in block), "val": block, "test": block} for block in blocks], path.name)
    parts = {part: _numbers(_listed(lists[part], path), table, path) for part in PARTS if part in lists}
    for part, other in (("train", "val"), ("train", "test")):
        twice = set(parts.get(part, ())) & set(parts.get(other, ()))  # type: ignore[call-overload]
        if twice:
            raise InputError(f"class {table[min(twice)]!r} is in {part} and in {other}", where=str(path), remedy="Unseen classes may not be trained on")
    return Folding([parts], path.name)


def _content(path: Path) -> dict[str, Any]:
    if path.suffix.lower() != ".toml":
        found = read_json(path)
    else:
        try:
            found = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"it is no TOML ({error})", where=str(path), remedy="Correct the file") from error
    if not isinstance(found, dict):
        raise InputError(f"it holds {json.dumps(found)[:40]}", where=str(path), remedy='Write {"folds": [["cat", "dog"], ["car"]]}')
    return found


def _listed(value: Any, path: Path) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{value!r} is no list", where=str(path), remedy="Write lists of class names")
    return value


def _numbers(listed: Any, table: ClassTable, path: Path) -> tuple[int, ...]:
    try:
        return tuple(table.number(key) for key in _listed(listed, path))
    except InputError as error:
        raise InputError(error.what, where=str(path), remedy=error.remedy) from error


def _once(numbers: list[int], table: ClassTable, path: Path) -> list[int]:
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise InputError(f"class {table[twice]!r} is in two folds", where=str(path), remedy="Name each class once")
    return numbers
