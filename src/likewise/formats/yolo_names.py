"""What describes a YOLO data set: data.yaml, or obj.names and classes.txt of older tools."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from likewise.data import ClassTable
from likewise.errors import InputError
from likewise.formats.files import ends_of, inside, read_text, sniffed

FILES = ("data.yaml", "dataset.yaml", "data.yml")
LISTS = ("obj.names", "classes.txt")
_LARGEST = 1 << 20
_DEEPEST = 16
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Description:
    """What a data set says of itself.

    classes: by number, which is YOLO's plus 1 (and one more from 254 on, since 255 is ignore); splits: name -> folders and lists of
    images; points: whether boxes carry keypoints.
    """

    classes: ClassTable | None = None
    splits: Mapping[str, list[str]] = field(default_factory=dict)
    points: bool = False


def number_of(index: int) -> int:
    """The class number of YOLO's class, which counts from 0.

    >>> number_of(0), number_of(253), number_of(254)
    (1, 254, 256)
    """
    return index + 1 if index < 254 else index + 2


def index_of(classes: ClassTable, number: int) -> int:
    """YOLO's number of a class: its place in the table, from 0."""
    return classes.index(number) - 1


def description_file(folder: Path) -> Path | None:
    """The file that describes the data set of a folder: data.yaml, or any single YAML file that lists names."""
    for name in (*FILES, *LISTS):
        if (folder / name).is_file():
            return folder / name
    others = [file for file in sorted(folder.glob("*.y*ml")) if file.suffix in (".yaml", ".yml") and b"names" in sniffed(file, _LARGEST)]
    return others[0] if len(others) == 1 else None


def read_description(file: Path) -> Description:
    """What such a file says; InputError for what is not YAML, aliases, and names that are no list and no table by number."""
    if file.name in LISTS:
        return Description(_table([line.strip() for line in read_text(file, _LARGEST).splitlines() if line.strip()], file))
    data = _yaml(file)
    if not isinstance(data, dict):
        raise InputError("it holds no names of classes", where=str(file), remedy='Write names: {0: "crack"}')
    listed = {split: [each for each in _listed(data[split]) if isinstance(each, str)] for split in _SPLITS if data.get(split)}
    return Description(_table(data["names"], file) if "names" in data else None, listed, bool(data.get("kpt_shape")))


def _yaml(file: Path) -> object:
    """What a YAML file holds, every value as it is written: a class may be called `no`. Aliases, by which a small file unfolds to gigabytes, are refused."""
    text = read_text(file, _LARGEST)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise InputError("it has aliases (*name)", where=str(file), remedy="Write the values out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise InputError("it is nested too deeply", where=str(file), remedy="Check that it is the right file")
        return _plain(yaml.compose(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"it is not a YAML file that can be read ({' '.join(str(error).split())[:200]})", where=str(file), remedy="Check it") from error


def _plain(node: Any) -> object:
    """A node of YAML as text, a list or a dictionary of such."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    return [_plain(each) for each in node.value] if isinstance(node, yaml.SequenceNode) else node.value if node is not None else None


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _table(names: object, file: Path) -> ClassTable:
    """The table of a list of names, or of names by YOLO's number."""
    given = dict(enumerate(names)) if isinstance(names, list) else names if isinstance(names, dict) else {}
    table = {
        int(key): name
        for key, name in given.items()
        if str(key).isascii() and str(key).isdigit() and len(str(key)) < 6 and int(key) < 32_000 and isinstance(name, str)
    }
    if not table or len(table) < len(given):
        raise InputError("names is no list of classes, nor a table by number from 0", where=f"{file}: names", remedy='Write names: {0: "crack", 1: "stain"}')
    try:
        return ClassTable({number_of(key): name for key, name in table.items()})
    except InputError as error:
        raise InputError(error.what, where=f"{file}: names", remedy=error.remedy) from error


def encoded(classes: ClassTable) -> bytes:
    """data.yaml of a data set with images in images/; texts are quoted as in JSON, which YAML reads."""
    head = "path: .\ntrain: images\nval: images\n\nnames:\n"
    return (head + "".join(f"  {place}: {json.dumps(classes[number])}\n" for place, number in enumerate(classes))).encode()


def split_files(folder: Path, entries: list[str], images: Mapping[str, str], root: Path) -> Iterator[str]:
    """The names of images that the entries of a split mean: those in a folder, or of a text file with a path a line.

    Paths that other machines wrote are taken from where the folder has them; InputError for none that lies outside.
    """
    files = {Path(os.path.realpath(root / file)): name for name, file in images.items() if file}
    for entry in entries:
        place = _found(folder, entry)
        if place is None:
            continue
        if place.is_dir():
            below = Path(os.path.realpath(place))
            yield from (name for path, name in files.items() if path.is_relative_to(below))
        else:
            for line in (each.strip() for each in read_text(place, _LARGEST).splitlines()):
                named = _found(folder, line) if line else None
                if named is not None and Path(os.path.realpath(named)) in files:
                    yield files[Path(os.path.realpath(named))]


def _found(folder: Path, written: str) -> Path | None:
    """What a path means in this folder: the longest of its ends that is there."""
    ends = ends_of(written)
    for end in ends:
        try:
            place = inside(folder, end, "data.yaml")
        except InputError:
            continue
        if place.exists():
            return place
    return folder if not ends and len(written) < 8 else None  # ".", "./", "../"
