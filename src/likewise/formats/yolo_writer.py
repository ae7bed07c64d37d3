"""Writing YOLO: labels/NAME.txt with a line an object, and data.yaml.

An object of several parts, or with holes, is one outline that crosses from one ring to the next and back: readers that fill by the
even-odd rule give back every pixel, others show a line one pixel wide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from likewise.data import ClassTable
from likewise.formats.encoder import Encoder
from likewise.formats.files import write_atomic
from likewise.formats.outline import bridged, rings
from likewise.formats.sheet import Sheet
from likewise.formats.yolo_names import FILES, encoded, index_of


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of the labels of one image; no file where nothing is said of pixels or boxes."""
    if sheet.label_map is None and not sheet.boxes:
        return {}
    return {f"labels/{stem}.txt": "".join(f"{line}\n" for line in _lines(sheet)).encode()}


def _lines(sheet: Sheet) -> Iterator[str]:
    height, width = sheet.size
    for each in sheet.objects:
        ring = bridged(rings(each.shown.patch))
        shares = (share for x, y in ring for share in ((x + each.shown.x) / width, (y + each.shown.y) / height))
        yield _line(index_of(sheet.classes, each.number), shares)
    for number, boxes in sheet.boxes.items():
        for x0, y0, x1, y1 in boxes:
            yield _line(index_of(sheet.classes, number), ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height))


def _line(index: int, shares: Iterable[float]) -> str:
    """A line; nine digits place a corner to a ten-thousandth of a pixel in the widest image that is read."""
    return " ".join([str(index), *(f"{share:.9f}".rstrip("0").rstrip(".") for share in shares)])


def _finish(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    del folder
    write_atomic(out / FILES[0], encoded(classes))
    return [Path(FILES[0])]


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "overlap", "instances", "boxes", "unknown pixels"}),
    planned=lambda stem: [f"labels/{stem}.txt"],
    encode=encode,
    finish=_finish,
    ending=".txt",
    single=lambda stem, sheet: {f"{stem}.txt": content for content in encode(stem, sheet).values()},
)
