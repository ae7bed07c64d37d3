"""What formats of one class an image share: the word for "none of these", examples, and splits that list classes."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from likewise.data import ClassTable, Example
from likewise.data.prediction import NONE_WORD
from likewise.errors import InputError


def class_name(written: str) -> str:
    """The name of a class as tables hold it: composed characters, without spaces around it."""
    return unicodedata.normalize("NFC", written.strip())


def class_example(image: Path, name: str, label: str, classes: ClassTable) -> Example:
    """The example of an image that shows a class; of one that shows none, every class is tagged as absent."""
    if label != NONE_WORD:
        return Example(image, name, label=label)
    return Example(image, name, tags=dict.fromkeys(classes.names.values(), False))


def check_classes(names: Sequence[str], where: Path) -> None:
    """InputError where no class is named besides "none of these"."""
    if not [name for name in names if name != NONE_WORD]:
        raise InputError("no class is named", where=str(where), remedy=f"Name one at least; {NONE_WORD} is for images that show none of the classes")


def image_splits(splits: Mapping[str, Sequence[str]], labels: Mapping[str, str]) -> dict[str, list[str]]:
    """Splits by image, of such as list images or whole classes; labels: {name of an image: class}.

    >>> image_splits({"test": ["dog"], "support": ["cat/1"]}, {"cat/1": "cat", "dog/1": "dog", "dog/2": "dog"})
    {'test': ['dog/1', 'dog/2'], 'support': ['cat/1']}
    """
    members: dict[str, list[str]] = {}
    for name, label in labels.items():
        members.setdefault(label, []).append(name)
    return {split: [name for written in listed for name in members.get(written, [written])] for split, listed in splits.items()}
