"""Writing Label Studio: a part an image under .label-studio/, merged into tasks.json when the run is done, and label_config.xml.

What a task of ours says becomes "predictions" with a score, which Label Studio shows as pre-annotations; what a person drew becomes "annotations".
An object is a brush stroke in Label Studio's own run lengths, so that holes and parts come back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from likewise.data import ClassTable
from likewise.formats.brush_rle import encode_brush
from likewise.formats.encoder import Encoder
from likewise.formats.files import atomic_file, json_text, write_atomic
from likewise.formats.label_studio import CONFIG
from likewise.formats.scan import has_ending, walk_sorted
from likewise.formats.sheet import Sheet
from likewise.formats.xml_files import tag

PARTS = ".label-studio"
FILE = "tasks.json"
_LOCAL = "/data/local-files/?d="  # how Label Studio addresses files below its own folder
_CONTROLS = {"brushlabels": ("brush", "BrushLabels"), "rectanglelabels": ("box", "RectangleLabels"), "keypointlabels": ("point", "KeyPointLabels")}
_CHOICES = "tag"


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of the part of one image: its task."""
    said: dict[str, Any] = {"result": [each | {"id": f"r{place}"} for place, each in enumerate(_results(sheet))]}
    if sheet.predicted:
        said |= {"model_version": "likewise", "score": round(min((each.score for each in sheet.objects), default=1.0), 6)}
    task = {"data": {"image": _LOCAL + quote(os.fsencode(f"images/{sheet.name}"))}, "predictions" if sheet.predicted else "annotations": [said]}
    return {f"{PARTS}/{stem}.json": json_text(task)}


def _results(sheet: Sheet) -> Iterator[dict[str, Any]]:
    height, width = sheet.size
    names = sheet.classes
    for each in sheet.objects:
        shown: dict[str, Any] = {"format": "rle", "rle": encode_brush(each.shown.mask(sheet.size))}
        yield _result(sheet, "brushlabels", names[each.number], shown) | ({"score": round(each.score, 6)} if sheet.predicted else {})
    for number, boxes in sheet.boxes.items():
        for x0, y0, x1, y1 in boxes:
            place = {"x": 100 * x0 / width, "y": 100 * y0 / height, "width": 100 * (x1 - x0) / width, "height": 100 * (y1 - y0) / height, "rotation": 0}
            yield _result(sheet, "rectanglelabels", names[number], place)
    for number, (positive, _) in sheet.points.items():
        for x, y in positive:
            yield _result(sheet, "keypointlabels", names[number], {"x": 100 * x / width, "y": 100 * y / height, "width": 0.5})
    tags = [names[number] for number, there in sheet.tags.items() if there]
    if tags:
        yield {"type": "choices", "from_name": _CHOICES, "to_name": "image", "value": {"choices": tags}}


def _result(sheet: Sheet, kind: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    height, width = sheet.size
    control = {"type": kind, "from_name": _CONTROLS[kind][0], "to_name": "image"}
    return control | {"original_width": width, "original_height": height, "image_rotation": 0, "value": value | {kind: [name]}}


def _merge(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    """Merge the parts that stand in `folder`, in the order of the images' names, and write the configuration of the labels."""
    parts = walk_sorted(folder / PARTS, has_ending(".json")) if (folder / PARTS).is_dir() else ()
    with atomic_file(out / FILE) as stream:
        stream.write(b"[")
        for number, part in enumerate(parts):
            stream.write((b",\n" if number else b"\n") + (folder / PARTS / part).read_bytes())
        stream.write(b"\n]\n")
    write_atomic(out / CONFIG, label_config(classes))
    return [Path(FILE), Path(CONFIG)]


def label_config(classes: ClassTable) -> bytes:
    """The labelling configuration that shows these labels: paste it into the settings of a project."""
    labels = [tag("Label", {"value": classes[number]}) for number in classes]
    controls = [tag(control, {"name": name, "toName": "image"}, labels) for name, control in _CONTROLS.values()]
    choices = tag("Choices", {"name": _CHOICES, "toName": "image", "choice": "multiple"}, [tag("Choice", {"value": classes[number]}) for number in classes])
    return f"{tag('View', inside=[tag('Image', {'name': 'image', 'value': '$image'}), *controls, choices])}\n".encode()


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "overlap", "instances", "boxes", "points", "tags", "unknown pixels"}),
    planned=lambda stem: [f"{PARTS}/{stem}.json"],
    encode=encode,
    finish=_merge,
    ending=".json",
    single=lambda stem, sheet: {f"{stem}.json": b"[\n" + content + b"\n]\n" for content in encode(stem, sheet).values()},
    parts=PARTS,
)
