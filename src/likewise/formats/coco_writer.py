"""Writing COCO: one small JSON an image under .coco/, merged into annotations.json when the run is done.

So a run can be stopped and resumed, and no more than one image is ever held. One annotation an object (a class and image where
objects are not told apart), with a compressed run length, its area and box, and how sure it is as `score`; ignored pixels are a crowd.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Instance
from likewise.data.geometry import Box
from likewise.formats.encoder import Encoder
from likewise.formats.files import atomic_file, json_bytes, json_text, read_json
from likewise.formats.rle import encode_mask
from likewise.formats.scan import has_ending, walk_sorted
from likewise.formats.sheet import Sheet

PARTS = ".coco"
MERGED = "annotations.json"


def part_name(stem: str) -> str:
    """The file that holds one image's annotations until the run is done."""
    return f"{PARTS}/{stem}.json"


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of the annotations of one image."""
    return {part_name(stem): json_bytes(_record(sheet))}


def encode_single(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of a whole COCO file for one image."""
    image, annotations = _numbered(_record(sheet), 1, 1)
    content = {"info": _INFO, "licenses": [], "images": [image], "annotations": annotations, "categories": _categories(sheet.classes)}
    return {f"{stem}.json": json_bytes(content)}


def merge(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    """Merge the parts that stand in `folder` into one file in `out`, in the order of the images' names; its relative path."""
    with atomic_file(out / MERGED) as stream:
        stream.write(b'{"info": ' + json_text(_INFO) + b', "licenses": [],\n"images": [')
        for number, (image, _) in enumerate(_merged(folder)):
            stream.write((b",\n" if number else b"\n") + json_text(image))
        stream.write(b'\n],\n"annotations": [')
        written = 0
        for _, annotations in _merged(folder):
            for annotation in annotations:
                stream.write((b",\n" if written else b"\n") + json_text(annotation))
                written += 1
        stream.write(b'\n],\n"categories": ' + json_text(_categories(classes)) + b"}\n")
    return [Path(MERGED)]


_INFO = {"description": "labels by Likewise", "version": "1"}


def _record(sheet: Sheet) -> dict[str, Any]:
    height, width = sheet.size
    annotations = [_outlined(each.number, each.shown.mask(sheet.size), each.shown.box, 0) | {"score": round(each.score, 6)} for each in sheet.objects]
    annotations += [_boxed(number, box) for number, boxes in sheet.boxes.items() for box in boxes]
    left_out = Instance.of(sheet.beyond_boxes)
    if left_out is not None and sheet.classes.names:  # a crowd of whichever class is read as ignored
        annotations.append(_outlined(sheet.classes.numbers[0], sheet.beyond_boxes, left_out.box, 1))
    absent = sorted(number for number, there in sheet.tags.items() if not there)
    searched = {"neg_category_ids": absent} if absent or sheet.unlabelled == "unknown" else {}
    return {"file_name": sheet.name, "height": height, "width": width, **searched, "annotations": annotations}


def _outlined(number: int, mask: NDArray[np.bool_], box: tuple[int, int, int, int], crowd: int) -> dict[str, Any]:
    """An annotation of pixels: box as (x, y, width, height)."""
    x0, y0, x1, y1 = box
    area = int(np.count_nonzero(mask))
    return {"category_id": number, "segmentation": encode_mask(mask), "area": area, "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": crowd}


def _boxed(number: int, box: Box) -> dict[str, Any]:
    """An annotation of a box alone."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    return {"category_id": number, "segmentation": [], "area": width * height, "bbox": [x0, y0, width, height], "iscrowd": 0}


def _numbered(record: dict[str, Any], image: int, annotation: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    described = {"id": image, **{key: value for key, value in record.items() if key != "annotations"}}
    return described, [{"id": annotation + place, "image_id": image, **each} for place, each in enumerate(record["annotations"])]


def _merged(folder: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    first = 1
    parts = folder / PARTS
    for number, relative in enumerate(walk_sorted(parts, has_ending(".json")) if parts.is_dir() else (), 1):
        image, annotations = _numbered(read_json(parts / relative), number, first)
        first += len(annotations)
        yield image, annotations


def _categories(classes: ClassTable) -> list[dict[str, Any]]:
    return [{"id": number, "name": classes[number], "supercategory": ""} for number in classes]


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "overlap", "instances", "ignored pixels", "boxes", "tags of absence", "unknown pixels"}),
    planned=lambda stem: [part_name(stem)],
    encode=encode,
    finish=merge,
    ending=".json",
    single=encode_single,
    parts=PARTS,
)
