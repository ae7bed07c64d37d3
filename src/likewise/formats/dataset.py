"""A data set, opened but not read: what every reader of `formats` makes, and what everything else is made of.

Names and places are known and checked; the labels of an image are read when they are asked for.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Example, Target
from likewise.data.channels import ChannelImage, Channels
from likewise.data.example import Unlabelled
from likewise.errors import InputError, close_match

ALL = "all"


@dataclass(frozen=True)
class Dataset:
    """Images of a folder with their labels in one format.

    format: its name; folder: where it was found; root: what names in outputs are relative to; images: name -> path
    relative to `root` in posix form ("" where the file is not there); labelled: names that have labels;
    example: reads one of them; classes: None where the labels themselves name them; layout: in words;
    embedded: names whose label file holds the image too; keypoints: the names of points that some label has; vectors: of classes, without any image.
    """

    format: str
    folder: Path
    root: Path
    images: Mapping[str, str]
    labelled: Collection[str]
    example: Callable[[str], Example]
    layout: str
    classes: ClassTable | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unlabelled: Unlabelled | None = None
    embedded: Collection[str] = ()
    keypoints: Collection[str] = ()
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def shown_as(self, channels: Channels | None) -> Dataset:
        """The same set with these channels of its pictures shown; None: with pictures of one channel or three."""
        if channels is None:
            return self
        read = self.example

        def example(name: str) -> Example:
            found = read(name)
            if isinstance(found.image, str | os.PathLike):
                found.image = ChannelImage(os.fspath(found.image), channels)
            return found

        return dataclasses.replace(self, example=example)

    def check_images(self, names: Iterable[str]) -> None:
        """InputError if the image of one of these is not there."""
        missing = [name for name in names if not self.images[name] and name not in self.embedded]
        if missing:
            raise InputError(
                f"{len(missing)} labelled images are not there: {_listed(missing)}",
                where=str(self.folder),
                remedy="Put them beside their labels or into images/",
            )

    def support_names(self, split: str | None) -> tuple[list[str], str | None]:
        """Names of the examples and the split they are from: `split`, else "support", else all that have labels."""
        chosen = split or ("support" if "support" in self.splits else None)
        if chosen is None or chosen == ALL:
            return sorted(self.labelled), chosen
        names = self._split(chosen)
        bare = [name for name in names if name not in self.labelled]
        if bare:
            raise InputError(
                f"{len(bare)} of split {chosen!r} have no labels: {_listed(bare)}",
                where=str(self.folder),
                remedy=f"Label them, or take them out of the split (looked in {self.layout})",
            )
        return names, chosen

    def query_names(self, split: str | None) -> tuple[list[str], str | None]:
        """Names of the images to label and their split: `split`, else "query", else all but the support."""
        if split is None and "query" not in self.splits:
            support = set(self.splits.get("support", ()))
            return sorted(name for name in self.images if name not in support), None
        chosen = split or "query"
        return (sorted(self.images) if chosen == ALL else self._split(chosen)), chosen

    def describe(self, split: str | None) -> str:
        """The layout and the split in words."""
        return self.layout + (f", split '{split}'" if split else "")

    def _split(self, split: str) -> list[str]:
        if split not in self.splits:
            raise InputError(f"there is no split {split!r}", where=str(self.folder), remedy=close_match(split, [*self.splits, ALL]))
        known = by_stem(self.images)
        names: list[str] = []
        unknown: list[str] = []
        for written in self.splits[split]:
            name = match(written, self.images, known)
            (unknown if name is None else names).append(name or written)
        if unknown:
            by_class = self.classes is not None and set(unknown) <= set(self.classes.names.values())
            remedy = "This split lists classes, not images: choose --split all" if by_class else "Correct the split, or add the images"
            raise InputError(f"split {split!r} names {len(unknown)} that are not there: {_listed(unknown)}", where=str(self.folder), remedy=remedy)
        return sorted(dict.fromkeys(names))


def without_ending(name: str) -> str:
    """A posix path without the ending of its last part.

    >>> without_ending("left.1/a.b.jpg")
    'left.1/a.b'
    """
    bare, _, ending = name.rpartition(".")
    return bare if ending and "/" not in ending and bare.rpartition("/")[2] else name


def by_stem(names: Iterable[str]) -> dict[str, str | None]:
    """Last part of each name -> the name, None where several have the same."""
    found: dict[str, str | None] = {}
    for name in names:
        stem = name.rpartition("/")[2]
        found[stem] = None if stem in found else name
    return found


def match(written: str, names: Collection[str], stems: Mapping[str, str | None]) -> str | None:
    """The name that a person or another list means: by relative path with or without its ending, else by the file alone."""
    for candidate in (written, without_ending(written)):
        if candidate in names:
            return candidate
    for candidate in (written, without_ending(written)):
        found = stems.get(candidate.rpartition("/")[2])
        if found is not None:
            return found
    return None


def name_images(files: Iterable[str]) -> dict[str, str]:
    """Name -> file for relative paths: the path without its ending, or with it where two differ in nothing else.

    >>> name_images(["b.jpg", "a.jpg", "a.png"])
    {'a.jpg': 'a.jpg', 'a.png': 'a.png', 'b': 'b.jpg'}
    """
    ordered = sorted(files)
    counts: dict[str, int] = {}
    for file in ordered:
        bare = without_ending(file)
        counts[bare] = counts.get(bare, 0) + 1
    return {(file if counts[without_ending(file)] > 1 else without_ending(file)): file for file in ordered}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
