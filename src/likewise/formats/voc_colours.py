"""The colours of Pascal VOC: labelmap.txt, and masks that are drawn in colours instead of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable
from likewise.data.classes import voc_palette
from likewise.errors import InputError
from likewise.formats.files import read_text
from likewise.formats.maps import index_values, read_colours, read_index_mask

LABELMAP = "labelmap.txt"
_BACKGROUND = "background"
_STANDARD = "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep sofa train tvmonitor"
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Colours:
    """classes: the table; numbers: colour -> number in masks (0 background), of those that are listed with a colour."""

    classes: ClassTable
    numbers: Mapping[Colour, int]


def standard_names() -> list[str]:
    """The twenty classes of Pascal VOC in the order of their numbers."""
    return _STANDARD.split()


def index_of(place: int) -> int:
    """The number in masks of the class at a place (from 1) in the table; 255 is left out."""
    return place if place < 255 else place + 1


def read_labelmap(file: Path) -> Colours:
    """What labelmap.txt says: a line a class, name:red,green,blue:parts:actions, the background first or nowhere.

    InputError for lines that are not of this form, and for a background that is not the first.
    """
    lines = [line.strip() for line in read_text(file).splitlines()]
    rows = [_row(line, file) for line in lines if line and not line.startswith("#")]
    names = [name for name, _ in rows]
    if _BACKGROUND in names[1:]:
        raise InputError("the background is not the first line", where=str(file), remedy="Put it first, since 0 is its number")
    if names[:1] != [_BACKGROUND]:
        rows.insert(0, (_BACKGROUND, None))
    try:
        table = ClassTable({index_of(place): name for place, (name, _) in enumerate(rows) if place})
    except InputError as error:
        raise InputError(error.what, where=str(file), remedy=error.remedy) from error
    return Colours(table, {colour: index_of(place) for place, (_, colour) in enumerate(rows) if colour is not None})


def _row(line: str, file: Path) -> tuple[str, Colour | None]:
    """(name, colour) of a line; a name may hold colons."""
    name, colour = line.rsplit(":", 3)[:2] if line.count(":") >= 3 else (line.rstrip(":"), "")
    parts = [part.strip() for part in colour.split(",")] if colour.strip() else []
    if not name.strip() or (parts and (len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts))):
        raise InputError(f"the line {line[:80]!r} is not name:red,green,blue::", where=str(file), remedy="Write a line a class, such as crack:128,0,0::")
    red, green, blue = (int(part) for part in parts) if parts else (0, 0, 0)
    return name.strip(), (red, green, blue) if parts else None


def labelmap_text(classes: ClassTable) -> bytes:
    """labelmap.txt of a table, with the colours that our palette PNG show."""
    colours = voc_palette(len(classes) + 2)
    lines = [f"{_BACKGROUND}:0,0,0::"]
    for place, number in enumerate(classes, 1):
        red, green, blue = colours[index_of(place)].tolist()
        lines.append(f"{classes[number]}:{red},{green},{blue}::")
    return ("# label:color_rgb:parts:actions\n" + "".join(f"{line}\n" for line in lines)).encode()


def coloured_mask(path: Path, colours: Colours | None) -> NDArray[np.int16]:
    """The numbers (H, W) of a mask, -1 for ignored: its index values, or what its colours stand for in labelmap.txt or in VOC's own order."""
    drawn = read_colours(path)
    values = read_index_mask(path) if drawn is None else _numbers(drawn, {} if colours is None else colours.numbers, path)
    values = np.where((values == 255) | (values == 65_535), -1, values)
    if values.max(initial=0) > 32_766 or values.min(initial=0) < -1:
        raise InputError(
            f"the mask holds values from {values.min()} to {values.max()}",
            where=str(path),
            remedy="Save it with a palette, or list its colours in labelmap.txt",
        )
    return values.astype(np.int16)


def _numbers(drawn: NDArray[np.uint8], listed: Mapping[Colour, int], path: Path) -> NDArray[np.int32]:
    """Colours (H, W, 3) as numbers; InputError for one that labelmap.txt does not list."""
    packed = (drawn.astype(np.int32) << np.array([16, 8, 0])).sum(axis=2)
    shown, inverse = np.unique(packed, return_inverse=True)
    made = np.zeros(len(shown), np.int32)
    for place, value in enumerate(shown.tolist()):
        colour = (value >> 16, value >> 8 & 255, value & 255)
        own = _own_number(colour)
        if listed and colour not in listed and own not in (0, 255):
            raise InputError(f"the mask holds the colour {colour}, which {LABELMAP} does not list", where=str(path), remedy="Add it, or draw it again")
        made[place] = listed.get(colour, own)
    return index_values(made[inverse].reshape(packed.shape), path)


def _own_number(colour: Colour) -> int:
    """The number whose colour it is in VOC's order: the inverse of `voc_palette`.

    >>> _own_number((128, 0, 0)), _own_number((224, 224, 192))
    (1, 255)
    """
    return sum(((colour[channel] >> (7 - bit)) & 1) << (3 * bit + channel) for bit in range(8) for channel in range(3))
