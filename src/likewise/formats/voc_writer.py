"""Writing Pascal VOC: palette PNG in SegmentationClass/ and SegmentationObject/, boxes in Annotations/, lists and labelmap.txt.

Every object has its box in Annotations/NAME.xml, in the order of the numbers of SegmentationObject/NAME.png; boxes that a person
drew follow. They are whole pixels counted from 1, the last one included, as in VOC.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data import ClassTable
from likewise.data.classes import voc_palette
from likewise.data.geometry import Box
from likewise.formats.dataset import without_ending
from likewise.formats.encoder import Encoder
from likewise.formats.files import atomic_file, write_atomic
from likewise.formats.pixels import grey_png
from likewise.formats.scan import has_ending, walk_sorted
from likewise.formats.sheet import Sheet
from likewise.formats.spread import lies_spread, plain
from likewise.formats.voc import BOXES, IMAGES, LISTS, MASKS, OBJECTS
from likewise.formats.voc_colours import LABELMAP, index_of, labelmap_text
from likewise.formats.xml_files import tag, xml_bytes

_LIST = "default.txt"
_LISTED = (("Segmentation", MASKS, ".png"), ("Main", BOXES, ".xml"))


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of the mask, the objects and the boxes of one image, as far as there are such."""
    files: dict[str, bytes] = {}
    if sheet.label_map is not None:
        numbers = np.where(sheet.ignored, 255, 0).astype(np.int32)
        for place, number in enumerate(sheet.classes, 1):
            numbers[sheet.label_map == number] = index_of(place)
        files[f"{MASKS}/{stem}.png"] = _png(numbers, len(sheet.classes))
    if sheet.instances:
        told = np.where(sheet.ignored, 255, 0).astype(np.int32)
        for place, each in enumerate(sheet.objects, 1):
            each.shown.mark(told, index_of(place))
        files[f"{OBJECTS}/{stem}.png"] = _png(told, len(sheet.objects))
    if sheet.label_map is not None or sheet.boxes:
        files[f"{BOXES}/{stem}.xml"] = xml_bytes(f"{_annotation(stem, sheet)}\n", sheet.name)
    return files


def _png(numbers: NDArray[np.int32], largest: int) -> bytes:
    """Numbers (H, W) as a palette PNG, or grey of 16 bits (65535 for ignored) if there are more than 254."""
    if largest > 254:
        return grey_png(np.where(numbers == 255, 65_535, numbers).astype(np.uint16))
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(voc_palette().tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _annotation(stem: str, sheet: Sheet) -> str:
    height, width = sheet.size
    ending = sheet.name.removeprefix(without_ending(sheet.name))
    size = [tag("width", inside=str(width)), tag("height", inside=str(height)), tag("depth", inside="3")]
    head = [
        tag("folder", inside=IMAGES),
        tag("filename", inside=PurePosixPath(plain(stem).removesuffix(ending) + ending).as_posix()),
        tag("size", inside=size),
        tag("segmented", inside=str(int(sheet.label_map is not None))),
    ]
    return tag("annotation", inside=[*head, *_objects(sheet)])


def _objects(sheet: Sheet) -> Iterator[str]:
    for each in sheet.objects:
        yield _object(sheet.classes[each.number], each.shown.box)
    for number, boxes in sheet.boxes.items():
        yield from (_object(sheet.classes[number], box) for box in boxes)


def _object(name: str, box: Box) -> str:
    """An object: half-open (x0, y0, x1, y1) begins one higher when whole pixels are counted from 1."""
    x0, y0, x1, y1 = box
    corners = {"xmin": x0 + 1, "ymin": y0 + 1, "xmax": x1, "ymax": y1}
    written = [tag(corner, inside=f"{value:.10g}") for corner, value in corners.items()]
    plain = [tag("pose", inside="Unspecified"), *(tag(word, inside="0") for word in ("truncated", "difficult"))]
    return tag("object", inside=[tag("name", inside=name), *plain, tag("bndbox", inside=written)])


def _finish(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    """Write labelmap.txt and the lists of what stands in `folder`."""
    write_atomic(out / LABELMAP, labelmap_text(classes))
    lists = [_listed(folder / where, has_ending(ending), out, Path(LISTS, part, _LIST)) for part, where, ending in _LISTED if (folder / where).is_dir()]
    return [Path(LABELMAP), *(path for path in lists if path is not None)]


def _listed(folder: Path, wanted: Callable[[str], bool], out: Path, path: Path) -> Path | None:
    """Write a list of what stands in `folder`, if anything does: its path."""
    if next(walk_sorted(folder, wanted), None) is None:
        return None
    apart = lies_spread(walk_sorted(folder, wanted))
    with atomic_file(out / path) as stream:
        for name in map(without_ending, walk_sorted(folder, wanted)):
            stream.write(f"{plain(name) if apart else name}\n".encode("utf-8", "surrogateescape"))
    return path


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "instances", "ignored pixels", "boxes", "unknown pixels"}),
    planned=lambda stem: [f"{MASKS}/{stem}.png", f"{OBJECTS}/{stem}.png", f"{BOXES}/{stem}.xml"],
    encode=encode,
    finish=_finish,
    ending="",
    single=None,
    images=lambda sheet: f"{IMAGES}/{sheet.name}",
)
