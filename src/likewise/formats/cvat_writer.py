"""Writing CVAT for images 1.1: a part an image under .cvat/, merged into annotations.xml when the run is done.

An object is a mask in CVAT's run lengths, row by row inside its box, so that holes and parts come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable
from likewise.data.geometry import Point
from likewise.formats.cvat import FILE
from likewise.formats.encoder import Encoder
from likewise.formats.files import atomic_file
from likewise.formats.scan import has_ending, walk_sorted
from likewise.formats.sheet import Sheet
from likewise.formats.xml_files import tag, xml_bytes

PARTS = ".cvat"
_SKELETON = "keypoints"
_BEGIN = b"<image "
_FOOT = b"</annotations>\n"
_DRAWN: dict[str, object] = {"source": "manual", "occluded": 0, "z_order": 0}


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of the part of one image."""
    return {f"{PARTS}/{stem}.xml": xml_bytes(f"{_image(sheet)}\n", sheet.name)}


def _image(sheet: Sheet) -> str:
    height, width = sheet.size
    return tag("image", {"name": sheet.name, "width": width, "height": height}, [*_shapes(sheet), *_skeleton(sheet)])


def _shapes(sheet: Sheet) -> Iterator[str]:
    names = sheet.classes
    for each in sheet.objects:
        x0, y0, x1, y1 = each.shown.box
        place = {"left": x0, "top": y0, "width": x1 - x0, "height": y1 - y0}
        yield tag("mask", {"label": names[each.number], **_DRAWN, "rle": ", ".join(map(str, run_lengths(each.shown.patch))), **place}, [])
    for number, boxes in sheet.boxes.items():
        for box in boxes:
            yield tag("box", {"label": names[number], **_DRAWN, **dict(zip(("xtl", "ytl", "xbr", "ybr"), map(_number, box), strict=True))}, [])
    for number, (positive, _) in sheet.points.items():
        if positive:
            yield tag("points", {"label": names[number], **_DRAWN, "points": _points(positive)}, [])
    for number, lines in sheet.scribbles.items():
        yield from (tag("polyline", {"label": names[number], **_DRAWN, "points": _points(line)}, []) for line in lines)
    yield from (tag("tag", {"label": names[number], "source": "manual"}, []) for number, there in sheet.tags.items() if there)


def _skeleton(sheet: Sheet) -> Iterator[str]:
    """The keypoints as one skeleton; of a point that is not visible the place means nothing."""
    points = [
        tag(
            "points", {"label": name, "source": "manual", "outside": int(place is None), "occluded": 0, "points": _points([place[:2] if place else (0, 0)])}, []
        )
        for name, place in sheet.keypoints.items()
    ]
    if points:
        yield tag("skeleton", {"label": _SKELETON, "source": "manual", "z_order": 0}, points)


def run_lengths(patch: NDArray[np.bool_]) -> list[int]:
    """Run lengths of a patch (h, w) row by row, background first.

    >>> import numpy as np
    >>> run_lengths(np.array([[True, True], [False, True]]))
    [0, 2, 1, 1]
    """
    flat = np.concatenate([[False], patch.ravel()])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(run) for run in np.diff([0, *changes.tolist(), patch.size])]


def _points(points: Sequence[Point]) -> str:
    return ";".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.10g}"


def _merge(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    """Merge the parts that stand in `folder`, in the order of the images' names, numbered from 0."""
    parts = walk_sorted(folder / PARTS, has_ending(".xml")) if (folder / PARTS).is_dir() else ()
    with atomic_file(out / FILE) as stream:
        stream.write(_head(classes))
        for number, part in enumerate(parts):
            stream.write(_numbered((folder / PARTS / part).read_bytes(), number))
        stream.write(_FOOT)
    return [Path(FILE)]


def _single(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of a whole file for one image."""
    (part,) = encode(stem, sheet).values()
    return {f"{stem}.xml": _head(sheet.classes) + _numbered(part, 0) + _FOOT}


def _head(classes: ClassTable) -> bytes:
    labels = [tag("label", inside=[tag("name", inside=classes[number]), tag("attributes", inside=[])]) for number in classes]
    meta = tag("meta", inside=[tag("task", inside=[tag("labels", inside=labels)])])
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n{meta}\n'.encode()


def _numbered(part: bytes, number: int) -> bytes:
    """The part of an image with its number in the file."""
    return _BEGIN + f'id="{number}" '.encode() + part.removeprefix(_BEGIN)


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "overlap", "instances", "boxes", "points", "scribbles", "tags", "keypoints", "unknown pixels"}),
    planned=lambda stem: [f"{PARTS}/{stem}.xml"],
    encode=encode,
    finish=_merge,
    ending=".xml",
    single=_single,
    parts=PARTS,
)
