"""Everything that is wrong with labelled examples, found at once and not one problem a run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from likewise.data import ClassTable
from likewise.data.channels import Channels
from likewise.data.images import read_image
from likewise.data.resolve import resolve
from likewise.errors import InputError
from likewise.formats.dataset import ALL, Dataset
from likewise.formats.files import problems_of
from likewise.formats.recognise import open_dataset
from likewise.formats.sheet import declared


@dataclass(frozen=True)
class Report:
    """What was found: format and layout in words, how many labelled images, and every problem with its place, reason and remedy."""

    format: str
    layout: str
    images: int
    problems: Sequence[InputError]


def check(path: str | os.PathLike[str], *, format: str | None = None, split: str | None = None, channels: Channels | None = None) -> Report:
    """Read every label and every pixel of labelled examples; problems are listed, not raised.

    channels: as of `read_support`. What makes a file or folder unreadable as a whole is the only problem then, or all that its
    files have. UsageError for a format that does not exist.
    """
    try:
        dataset = open_dataset(Path(path), format).shown_as(channels)
    except InputError as error:
        return Report(format or "", "", 0, [*problems_of(error)])
    problems = [*_split_problems(dataset)]
    try:
        names, _ = dataset.support_names(split or ALL)
    except InputError as error:
        return Report(dataset.format, dataset.layout, 0, [*problems, *problems_of(error)])
    if not names:
        problems.append(InputError(f"there are no labelled images ({dataset.layout})", where=str(path), remedy="Label at least one image"))
    for name in names:
        problems += _example_problems(dataset, name)
    return Report(dataset.format, dataset.layout, len(names), problems)


def _split_problems(dataset: Dataset) -> Iterator[InputError]:
    """Splits that name images which are not there."""
    for split in dataset.splits:
        try:
            dataset.query_names(split)
        except InputError as error:
            yield from problems_of(error)


def _example_problems(dataset: Dataset, name: str) -> Sequence[InputError]:
    """What is wrong with an example: its labels, its image, and whether both fit."""
    try:
        dataset.check_images([name])
        example = dataset.example(name)
        size = example.size()
        classes = dataset.classes if dataset.classes is not None else ClassTable.named_by(example.class_keys())
        resolve(example, name, size, classes, declared(dataset.targets), dataset.unlabelled)
        read_image(example.image)
    except MemoryError:
        return [InputError("there is not enough memory to read it", where=name, remedy="Save it smaller, or cut it into tiles")]
    except InputError as error:
        placed = error.where if name in error.where or not error.where else f"{name}: {error.where}"
        return [*problems_of(error)] if len(problems_of(error)) > 1 else [InputError(error.what, where=placed or name, remedy=error.remedy)]
    return []
