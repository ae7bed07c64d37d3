"""From one format to another: what would be lost is known before anything is written, and nothing is overwritten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from likewise.data import ClassTable, Target
from likewise.data.channels import Channels
from likewise.data.example import Unlabelled
from likewise.data.images import read_image
from likewise.data.resolve import resolve
from likewise.errors import InputError, UsageError, close_match
from likewise.files import said_where
from likewise.formats import class_sets, dense_files, keypoint_files
from likewise.formats.dataset import ALL, Dataset, by_stem, match
from likewise.formats.encoder import Encoder
from likewise.formats.files import json_bytes, new_folder, write_atomic
from likewise.formats.reading import named_classes
from likewise.formats.recognise import format_named, open_dataset
from likewise.formats.sheet import Need, Sheet, declared, of_labels
from likewise.formats.writing import ENCODERS, clashing, output_stem

SETS: Mapping[str, Encoder] = {**ENCODERS, **class_sets.ENCODERS}
UNKNOWN: Need = "unknown pixels"


@dataclass(frozen=True)
class Conversion:
    """A data set that is to be written in another format.

    names: of its labelled images; lost: what the other format cannot hold -> the names of the images that have it; unlabelled: what
    dataset.json says of pixels without labels, None for nothing.
    """

    dataset: Dataset
    names: Sequence[str]
    format: str
    lost: Mapping[Need, Sequence[str]]
    unlabelled: Unlabelled | None = None

    def sentences(self) -> Iterator[str]:
        """What is lost, a line each."""
        for need, names in self.lost.items():
            told = f"{len(names)} images" if len(names) > 1 else names[0]
            yield f"{self.format} cannot hold {need}: left out of {told}"


def plan(
    path: str | os.PathLike[str], format: str, *, from_format: str | None = None, split: str | None = None, channels: Channels | None = None
) -> Conversion:
    """What converting a file or folder to a format would do; every label is read and checked, nothing is written.

    channels: as of `read_support`; pictures are copied as they are.
    UsageError for a format that is not written; InputError as in `read_support`.
    """
    held_by(format)
    return planned(open_dataset(Path(path), from_format).shown_as(channels), format, split)


def planned(dataset: Dataset, format: str, split: str | None = None) -> Conversion:
    """The same for a data set that is open."""
    holds = held_by(format)
    names, _ = dataset.support_names(split or ALL)
    if not names:
        raise InputError(f"there are no labelled images ({dataset.layout})", where=str(dataset.folder), remedy="Label at least one image")
    dataset.check_images(names)
    wanted = {name: _wanted(sheet, holds) for name, sheet in zip(names, sheets(dataset, names), strict=True)}
    everywhere = all(UNKNOWN in needs for needs in wanted.values())  # then dataset.json says it once for all
    if any(wanted.values()) and not any(needs & (holds | {UNKNOWN}) for needs in wanted.values()):
        has = ", ".join(sorted({need for needs in wanted.values() for need in needs}))
        raise UsageError(f"{format} can hold nothing of it; there are {has}", where="--format", remedy=f"{format} holds {', '.join(sorted(holds))}")
    lost: dict[Need, list[str]] = {}
    for name, needs in wanted.items():
        for need in sorted(needs - holds - ({UNKNOWN} if everywhere else set())):
            lost.setdefault(need, []).append(name)
    return Conversion(dataset, names, format, lost, "unknown" if everywhere else None)


def _wanted(sheet: Sheet, holds: frozenset[Need]) -> frozenset[Need]:
    """What a sheet needs; that no class is shown is held by formats of classes of whole images too."""
    return frozenset() if sheet.shows_none and "class of the image" in holds else sheet.needs()


def held_by(format: str) -> frozenset[Need]:
    """What a format can hold; UsageError for one that is not written."""
    if not format_named(format).writes:
        raise UsageError(f"{format} is read, not written", where="--format", remedy=close_match(format, SETS))
    return SETS[format].holds


def sheets(dataset: Dataset, names: Sequence[str]) -> Iterator[Sheet]:
    """The labels of images one after the other; InputError for what does not fit its image."""
    classes = dataset.classes if dataset.classes is not None else named_classes(dataset, names)
    for name in names:
        example = dataset.example(name)
        labels = resolve(example, name, example.size(), classes, declared(dataset.targets), dataset.unlabelled)
        yield of_labels(dataset.images[name] or f"{name}.png", labels, classes, dict(dataset.targets), example.image)


def convert(conversion: Conversion, out: str | os.PathLike[str], *, images: bool = True) -> list[Path]:
    """Write a data set in its new format into a folder that is not there or empty, whole or not at all; the files, relative to it.

    images: also copy the images to where the format has them. OutputError for a folder that holds something.
    """
    with new_folder(Path(out)) as draft:
        return _written(conversion, draft, images=images)


def _written(conversion: Conversion, folder: Path, *, images: bool) -> list[Path]:
    dataset, names, encoder = conversion.dataset, conversion.names, SETS[conversion.format]
    files = [dataset.images[name] or f"{name}.png" for name in names]
    keep = clashing(files, [".overlay", ".keypoints", ".instances", *(f".{dense_files.safe_name(name)}" for name in dataset.targets)])
    written: list[str] = []
    called: dict[str, str] = {}
    classes = ClassTable({})
    for name, sheet in zip(names, sheets(dataset, names), strict=True):
        classes, called[name] = sheet.classes, encoder.name(sheet)
        for file, content in _encoded(encoder, encoder.labels + output_stem(sheet.name, keep), sheet).items():
            write_atomic(folder / file, content)
            written.append(file)
        if images and encoder.images(sheet):
            _copy_image(dataset, name, folder / encoder.images(sheet))
            written.append(encoder.images(sheet))
    if classes.names or encoder.parts:
        written += [path.as_posix() for path in encoder.finish(folder, folder, classes)]
    about = _about(conversion, called)
    if about:
        write_atomic(folder / "dataset.json", json_bytes(about))
        written.append("dataset.json")
    if encoder.parts:
        shutil.rmtree(folder / encoder.parts, ignore_errors=True)
        written = [file for file in written if not file.startswith(f"{encoder.parts}/")]
    return [Path(file) for file in written]


def _encoded(encoder: Encoder, stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of what a format holds of an image."""
    files = encoder.encode(stem, sheet)
    if not encoder.side_files:
        return files
    for target, values in sheet.dense.items():
        files |= dense_files.encode(stem, target, values, sheet.targets.get(target, Target()))
    return files | keypoint_files.encode(stem, sheet.keypoints)


def _copy_image(dataset: Dataset, name: str, target: Path) -> None:
    """A copy of an image; of one that stands in its label file, or in memory, a PNG."""
    with said_where(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if dataset.images[name]:
            shutil.copyfile(dataset.root / dataset.images[name], target)
        else:
            Image.fromarray(read_image(dataset.example(name).image)).save(target, "PNG")


def _about(conversion: Conversion, called: Mapping[str, str]) -> dict[str, Any]:
    """What dataset.json says: the splits as far as their images are there, by what these are called now, and what pixels without labels are."""
    dataset = conversion.dataset
    stems = by_stem(dataset.images)
    splits = {split: [match(written, dataset.images, stems) for written in listed] for split, listed in dataset.splits.items()}
    shown = {split: [called[name] for name in names if name and called.get(name)] for split, names in splits.items()}
    about: dict[str, Any] = {"split": {split: names for split, names in shown.items() if names}}
    return {key: value for key, value in (about | {"unlabelled": conversion.unlabelled}).items() if value}
