"""Which classes train, validate and test: lists as published, rules as published, and folders with a class each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from likewise.errors import InputError
from likewise.formats.files import read_json
from likewise.formats.scan import is_image, walk

TURNS = 4  # of a drawing by right angles, each a class of its own
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class ClassSplit:
    """Names of the classes that train, validate and test, each in the order of the list."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


def read_split(path: Path) -> ClassSplit:
    """The split of a JSON file: names, or names with a list each, under `train`, `val` and `test`, or under these within `split`.

    InputError where one of these is missing, or a class is in two of them or twice in one.
    """
    data = read_json(path)
    parts = data.get("split", data) if isinstance(data, Mapping) else {}
    missing = [part for part in PARTS if not _is_names(parts.get(part) if isinstance(parts, Mapping) else None)]
    if missing:
        raise InputError(f"it holds no names under {', '.join(missing)}", where=str(path), remedy='Write {"train": ["a"], "val": ["b"], "test": ["c"]}')
    split = ClassSplit(*(tuple(parts[part]) for part in PARTS))
    names = [*split.train, *split.val, *split.test]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError(f"it names {', '.join(twice[:4])} more than once", where=str(path), remedy="Give each class one part")
    return split


def alternating_split(folders: Sequence[str]) -> ClassSplit:
    """The split of CUB-200 in Chen et al. 2019 by the place of a class's folder among the sorted ones: even places train, of the others every second validates.

    >>> alternating_split(["e", "a", "b", "c", "d"])
    ClassSplit(train=('a', 'c', 'e'), val=('b',), test=('d',))
    """
    ordered = sorted(folders)
    return ClassSplit(tuple(ordered[::2]), tuple(ordered[1::4]), tuple(ordered[3::4]))


def turned(names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Names with each of four turns by right angles: class 4 i + r is name i turned r times (Vinyals et al. 2016, for Omniglot).

    >>> turned(["a", "b"])[4:6]
    (('b', 0), ('b', 1))
    """
    return tuple((name, turns) for name in names for turns in range(TURNS))


def class_folders(root: Path) -> dict[str, tuple[Path, ...]]:
    """The images of each class below a folder, sorted, by class: a folder that holds images itself is a class, named by its path below `root`.

    So `CLASS/image.jpg` and `ALPHABET/CHARACTER/image.png` are read alike; names have `/` between their parts. InputError where there is none, or the
    folder cannot be read. Hidden files are left out.
    """
    found: dict[str, list[Path]] = {}
    for name in sorted(walk(root, is_image)):
        folder, _, file = name.rpartition("/")
        if folder:
            found.setdefault(folder, []).append(root / folder / file)
    if not found:
        raise InputError("none of its folders holds images", where=str(root), remedy="Put the images of each class into a folder of its own")
    return {name: tuple(found[name]) for name in sorted(found)}


def _is_names(listed: object) -> bool:
    """Whether this is a list of names, or names with something each."""
    return isinstance(listed, list | Mapping) and bool(listed) and all(isinstance(name, str) for name in listed)
