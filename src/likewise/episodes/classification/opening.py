"""A benchmark of classification by one word, as the command line and recipes name it.

    classes:DIR           a folder a class, in DIR/train, DIR/val and DIR/test, or all in DIR: then all test, unless a split.json says otherwise
    omniglot-mini:PATH    the packed background sets: five alphabets train, one of the other set validates, the others test
    omniglot:DIR          all characters by Vinyals' lists, each with its four turns (DIR holds omniglot_vinyals.json, or --lists names its folder)
    lake:PATH             the twenty one-shot runs of the packed file
    mini-imagenet:DIR     a folder a wnid of ILSVRC-2012, by Ravi's list
    cub:DIR               CUB-200-2011 by the places of its folders
    mini-imagenet-to-cub:DIR    DIR/mini-imagenet trains, DIR/CUB_200_2011 validates and tests
    PATH                  a folder with a dataset.json of the kind "classification"

`-turned` behind omniglot-mini makes each turn a class, `-upright` behind omniglot leaves the turns out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from likewise.episodes.classification.benchmark import Asked, ClassBenchmark, ClassItems, Item, Picture, drawing, items_of, photograph
from likewise.episodes.classification.omniglot import Characters, OneShotRun, read_characters, read_runs
from likewise.episodes.classification.splits import PARTS, TURNS, ClassSplit, Part, alternating_split, class_folders, read_split
from likewise.errors import InputError, UsageError
from likewise.formats.files import read_json

PACKED = "omniglot_mini.npz"
VALIDATING = "Tagalog"  # of the second background set; ours, no published split has the two sets
EVERY_TURN = tuple(range(TURNS))
VINYALS, RAVI = "omniglot_vinyals.json", "mini_imagenet_ravi.json"
MINI_IMAGES = 600  # of a class of mini-ImageNet


def open_classes(text: str, lists: Path | None = None) -> ClassBenchmark:
    """The benchmark that a text names. UsageError for a name without a folder, InputError for what is not there."""
    name, separator, rest = text.partition(":")
    if separator and name in OPENERS:
        if not rest:
            raise UsageError(f"{name} needs the folder of its data", where="benchmark", remedy=f"Write {name}:FOLDER")
        return OPENERS[name](name, Path(rest), lists)
    return _described(Path(text))


def names_classes(text: str) -> bool:
    """Whether a text names a benchmark of classification."""
    name, separator, _ = text.partition(":")
    return (bool(separator) and name in OPENERS) or _is_described(Path(text))


def _is_described(root: Path) -> bool:
    path = root / "dataset.json"
    try:
        content = read_json(path) if path.is_file() else None
    except InputError:
        return False
    return isinstance(content, Mapping) and content.get("kind") == "classification"


def _described(root: Path) -> ClassBenchmark:
    """Data that say by a dataset.json what they are: packed characters, or a folder a class in `images`."""
    if not _is_described(root):
        raise InputError("it is no benchmark of classification", where=str(root), remedy="Write classes:FOLDER for a folder with a folder a class")
    if (root / PACKED).is_file():
        return _packed("omniglot-mini", root, None)
    folders = class_folders(root / "images" if (root / "images").is_dir() else root)
    return ClassBenchmark(root.resolve().name, _parts(read_split(root / "dataset.json"), folders, root), photograph)


def _folder(name: str, root: Path, lists: Path | None) -> ClassBenchmark:
    """A folder a class, however it is split."""
    del name, lists
    title = root.resolve().name
    parts: dict[Part, ClassItems] = {part: items_of(class_folders(root / part)) for part in PARTS if (root / part).is_dir()}
    if parts:
        return ClassBenchmark(title, parts, photograph)
    folders = class_folders(root)
    if (root / "split.json").is_file():
        return ClassBenchmark(title, _parts(read_split(root / "split.json"), folders, root), photograph)
    return ClassBenchmark(title, {"test": items_of(folders)}, photograph)


def _packed(name: str, path: Path, lists: Path | None) -> ClassBenchmark:
    """The two small background sets of Omniglot: alphabets of the second that the first has not validate and test."""
    del lists
    path = path / PACKED if path.is_dir() else path
    first, second = (read_characters(path, f"images_background_small{number}") for number in (1, 2))
    known = {_alphabet(title) for title in first.names}
    new = {title: rows for title, rows in _rows(second, len(first.labels)).items() if _alphabet(title) not in known}
    turns = EVERY_TURN if name.endswith("-turned") else (0,)
    parts: dict[Part, ClassItems] = {
        "train": items_of(_rows(first, 0), turns=turns),
        "val": items_of({title: rows for title, rows in new.items() if _alphabet(title) == VALIDATING}, turns=turns),
        "test": items_of({title: rows for title, rows in new.items() if _alphabet(title) != VALIDATING}, turns=turns),
    }
    return ClassBenchmark(name, parts, partial(_character, (first, second)))


def _rows(characters: Characters, begin: int) -> dict[str, Sequence[int]]:
    """The rows of each character, counted from `begin`."""
    found: dict[str, list[int]] = {title: [] for title in characters.names}
    for row, label in enumerate(characters.labels.tolist()):
        found[characters.names[label]].append(begin + row)
    return dict(found)


def _character(sets: Sequence[Characters], item: Item) -> Picture:
    row = _row(item)
    for characters in sets:
        if row < len(characters.labels):
            return drawing(characters.ink(row), item.turns)
        row -= len(characters.labels)
    raise IndexError(f"there is no row {item.place}")


def _row(item: Item) -> int:
    if not isinstance(item.place, int):
        raise TypeError("a file is no row of a packed file")
    return item.place


def _lake(name: str, path: Path, lists: Path | None) -> ClassBenchmark:
    """The twenty one-shot runs of Lake et al. 2015; rows of supports and of queries run by run, one behind the other."""
    del lists
    runs = read_runs(path / PACKED if path.is_dir() else path)
    return ClassBenchmark(name, {}, partial(_of_run, runs), tuple(_asked(runs, place) for place in range(len(runs))))


def _asked(runs: Sequence[OneShotRun], place: int) -> Asked:
    """A run: its supports, one a class, and the queries of each class."""
    n_way, begin = len(runs[place].support), sum(len(run.support) + len(run.query) for run in runs[:place])
    queries = [[Item(begin + n_way + row) for row in np.flatnonzero(runs[place].answer == way).tolist()] for way in range(n_way)]
    return Asked([[Item(begin + way)] for way in range(n_way)], queries)


def _of_run(runs: Sequence[OneShotRun], item: Item) -> Picture:
    row = _row(item)
    for run in runs:
        both = [*run.support, *run.query]
        if row < len(both):
            return drawing(both[row])
        row -= len(both)
    raise IndexError(f"there is no row {item.place}")


def _alphabet(title: str) -> str:
    return title.partition("/")[0]


def _omniglot(name: str, root: Path, lists: Path | None) -> ClassBenchmark:
    """All characters by Vinyals' lists, in one folder or in the two of the official archives."""
    split = read_split(_list(VINYALS, root, lists))
    turns = EVERY_TURN if name == "omniglot" else (0,)
    return ClassBenchmark(name, _parts(split, character_folders(root), root, turns), photograph)


def character_folders(root: Path) -> dict[str, tuple[Path, ...]]:
    """The drawings of each character, "Alphabet/characterNN", wherever below a folder its alphabets lie. InputError where there are none."""
    return {"/".join(title.split("/")[-2:]): files for title, files in class_folders(root).items()}


def _mini_imagenet(name: str, root: Path, lists: Path | None) -> ClassBenchmark:
    """A folder a wnid: the 600 images by number of a whole one, all of one that holds no more."""
    path = _list(RAVI, root, lists)
    split, numbers = read_split(path), _numbers(path)
    folders = {title.split("/")[-1]: _chosen(files, numbers.get(title.split("/")[-1], ())) for title, files in class_folders(root).items()}
    return ClassBenchmark(name, _parts(split, folders, root), photograph)


def _numbers(path: Path) -> dict[str, Sequence[int]]:
    """The image numbers of each wnid of a list, from 1; none for a list of names alone."""
    data: Any = read_json(path)
    parts = data.get("split", data)
    return {wnid: numbers for part in PARTS if isinstance(parts[part], Mapping) for wnid, numbers in parts[part].items()}


def _chosen(files: Sequence[Path], numbers: Sequence[int]) -> tuple[Path, ...]:
    """The files of these places, from 1, among all of a class, sorted by the number in their names."""
    ordered = sorted(files, key=lambda file: (int("".join(filter(str.isdecimal, file.stem.rpartition("_")[2])) or 0), file.name))
    if len(ordered) <= MINI_IMAGES or not numbers:
        return tuple(ordered)
    return tuple(ordered[number - 1] for number in numbers if number <= len(ordered))


def _cub(name: str, root: Path, lists: Path | None) -> ClassBenchmark:
    del lists
    folders = class_folders(root / "images" if (root / "images").is_dir() else root)
    return ClassBenchmark(name, _parts(alternating_split(list(folders)), folders, root), photograph)


def _across(name: str, root: Path, lists: Path | None) -> ClassBenchmark:
    """All classes of mini-ImageNet train, those of CUB validate and test."""
    near, far = _mini_imagenet(name, root / "mini-imagenet", lists or root), _cub(name, root / "CUB_200_2011", None)
    every = [near.parts[part] for part in PARTS]
    train = ClassItems(sum((each.names for each in every), ()), sum((each.items for each in every), ()))
    return ClassBenchmark(name, {"train": train, "val": far.parts["val"], "test": far.parts["test"]}, photograph)


def _list(file: str, root: Path, lists: Path | None) -> Path:
    path = (lists or root) / file
    if not path.is_file():
        raise InputError(f"the list {file} is not there", where=str(path.parent), remedy="Put it there, or name its folder by --lists")
    return path


def _parts(split: ClassSplit, folders: Mapping[str, Sequence[Path]], root: Path, turns: Sequence[int] = (0,)) -> dict[Part, ClassItems]:
    """The classes of each part; InputError where a folder of the split is missing."""
    missing = [name for part in PARTS for name in getattr(split, part) if name not in folders]
    if missing:
        told = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        raise InputError(f"there is no folder with images of {told}", where=str(root), remedy="Put a folder for each class there (`likewise data check`)")
    return {part: items_of({name: folders[name] for name in getattr(split, part)}, turns=turns) for part in PARTS}


Opener = Callable[[str, Path, Path | None], ClassBenchmark]
OPENERS: Mapping[str, Opener] = {
    "classes": _folder,
    "omniglot-mini": _packed,
    "omniglot-mini-turned": _packed,
    "omniglot": _omniglot,
    "omniglot-upright": _omniglot,
    "lake": _lake,
    "mini-imagenet": _mini_imagenet,
    "cub": _cub,
    "mini-imagenet-to-cub": _across,
}
