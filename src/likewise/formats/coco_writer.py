"""Writing COCO: one small JSON an image under .coco/, merged into annotations.json when the run is done.

So a run can be stopped and resumed, and no more than one image is ever held. One annotation a class and image, with a
compressed run length, its area and box, and the class's confidence as `score`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from likewise.data import ClassTable, Prediction
from likewise.formats.files import atomic_file, json_bytes, read_json
from likewise.formats.pixels import numbers_in
from likewise.formats.rle import encode_mask
from likewise.formats.scan import has_ending, walk

PARTS = ".coco"
MERGED = "annotations.json"


def part_name(stem: str) -> str:
    """The file that holds one image's annotations until the run is done."""
    return f"{PARTS}/{stem}.json"


def encode(stem: str, name: str, prediction: Prediction) -> dict[str, bytes]:
    """File name -> content of the annotations of one image."""
    return {part_name(stem): json_bytes(_record(name, prediction))}


def encode_single(stem: str, name: str, prediction: Prediction) -> dict[str, bytes]:
    """File name -> content of a whole COCO file for one image."""
    image, annotations = _numbered(_record(name, prediction), 1, 1)
    content = {"info": _INFO, "licenses": [], "images": [image], "annotations": annotations, "categories": _categories(prediction.classes)}
    return {f"{stem}.json": json_bytes(content)}


def merge(folder: Path, out: Path, classes: ClassTable) -> Path:
    """Merge the parts that stand in `folder` into one file in `out`, in the order of the images' names; its relative path."""
    with atomic_file(out / MERGED) as stream:
        stream.write(b'{"info": ' + _compact(_INFO) + b', "licenses": [],\n"images": [')
        for number, (image, _) in enumerate(_merged(folder)):
            stream.write((b",\n" if number else b"\n") + _compact(image))
        stream.write(b'\n],\n"annotations": [')
        written = 0
        for _, annotations in _merged(folder):
            for annotation in annotations:
                stream.write((b",\n" if written else b"\n") + _compact(annotation))
                written += 1
        stream.write(b'\n],\n"categories": ' + _compact(_categories(classes)) + b"}\n")
    return Path(MERGED)


_INFO = {"description": "labels by Likewise", "version": "1"}


def _record(name: str, prediction: Prediction) -> dict[str, Any]:
    height, width = prediction.size
    annotations = []
    for number in numbers_in(prediction.labels, prediction.classes):
        mask, class_name = prediction.mask(number), prediction.classes[number]
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x, y = int(columns[0]), int(rows[0])
        annotations.append(
            {
                "category_id": number,
                "segmentation": encode_mask(mask),
                "area": int(np.count_nonzero(mask)),
                "bbox": [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y],
                "iscrowd": 0,
                "score": round(float(prediction.class_confidence.get(class_name, prediction.confidence)), 6),
            }
        )
    return {"file_name": name, "height": height, "width": width, "annotations": annotations}


def _numbered(record: dict[str, Any], image: int, annotation: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    described = {"id": image, **{key: record[key] for key in ("file_name", "height", "width")}}
    return described, [{"id": annotation + place, "image_id": image, **each} for place, each in enumerate(record["annotations"])]


def _merged(folder: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    first = 1
    parts = folder / PARTS
    for number, relative in enumerate(sorted(walk(parts, has_ending(".json"))) if parts.is_dir() else [], 1):
        image, annotations = _numbered(read_json(parts / relative), number, first)
        first += len(annotations)
        yield image, annotations


def _categories(classes: ClassTable) -> list[dict[str, Any]]:
    return [{"id": number, "name": classes[number], "supercategory": ""} for number in classes]


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
