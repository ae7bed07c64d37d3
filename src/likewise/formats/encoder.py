"""How a format is written: an image at a time, and what describes all of them at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from likewise.data import ClassTable
from likewise.formats.dataset import without_ending
from likewise.formats.files import json_bytes, write_atomic
from likewise.formats.sheet import Need, Sheet


def in_images(sheet: Sheet) -> str:
    """The usual place of an image."""
    return f"images/{sheet.name}"


def as_before(sheet: Sheet) -> str:
    """The usual name of an image: the one that it had."""
    return without_ending(sheet.name)


@dataclass(frozen=True)
class Encoder:
    """A format's writer; it knows no folder but the one that it is given at the end.

    holds: what is not lost in it; planned: NAME -> the files that `encode` may give; encode: NAME and a sheet -> file name -> content;
    finish: the folder where these files stand, the one to write into, classes -> the files written there; ending and single: of the
    one file that holds one image, None where the format has no such; parts: the folder of what `finish` merges, "" where it merges
    nothing; images: where the image of a sheet stands in a whole data set, "" for nowhere; name: what it is called there; labels: the
    folder of its labels, "" for its root; side_files: whether dense maps and keypoints stand in files of their own beside the labels,
    where its reader finds them.
    """

    holds: frozenset[Need]
    planned: Callable[[str], list[str]]
    encode: Callable[[str, Sheet], dict[str, bytes]]
    finish: Callable[[Path, Path, ClassTable], list[Path]]
    ending: str
    single: Callable[[str, Sheet], dict[str, bytes]] | None
    parts: str = ""
    images: Callable[[Sheet], str] = in_images
    name: Callable[[Sheet], str] = as_before
    labels: str = ""
    side_files: bool = False


def write_classes(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    """Write classes.json into `out`, for formats whose files of an image say nothing of the table."""
    del folder
    content = {"classes": {str(number): classes[number] for number in classes}, "ignore": 255}
    write_atomic(out / "classes.json", json_bytes(content))
    return [Path("classes.json")]
