"""Writing our own examples.json: the one format that holds everything, a part an image under .examples/, merged when the run is done.

Label maps are PNG in labels/, dense maps NumPy arrays in dense/, objects and overlapping masks run lengths in the file itself.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from likewise.data import ClassTable, Target
from likewise.formats.dense_files import safe_name
from likewise.formats.encoder import Encoder
from likewise.formats.examples_json import FILE
from likewise.formats.files import atomic_file, json_text, read_json
from likewise.formats.index_png_writer import label_png
from likewise.formats.rle import encode_mask
from likewise.formats.scan import has_ending, walk_sorted
from likewise.formats.sheet import Need, Sheet
from likewise.formats.spread import plain

PARTS = ".examples"
LABELS, DENSE = "labels", "dense"


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of the part of one image, its label map and its dense maps."""
    entry: dict[str, Any] = {"image": f"images/{sheet.name}", "name": plain(stem)}
    files: dict[str, bytes] = {}
    if sheet.label_map is not None:
        entry["label_map"] = f"{LABELS}/{stem}.png"
        files[entry["label_map"]] = label_png(sheet.index_map())
    for target, values in sheet.dense.items():
        stream = io.BytesIO()
        np.save(stream, np.asarray(values, np.float32), allow_pickle=False)
        path = f"{DENSE}/{stem}.{safe_name(target)}.npy"
        files[path] = stream.getvalue()
        entry.setdefault("dense", {})[target] = path
    entry |= {field: value for field, value in _fields(sheet) if value}
    targets = {name: _target(sheet.targets.get(name, Target())) for name in sheet.dense}
    return {f"{PARTS}/{stem}.json": json_text({"entry": entry, "targets": targets})} | files


def _fields(sheet: Sheet) -> Iterator[tuple[str, Any]]:
    """What is said in the file itself."""
    names = sheet.classes
    apart = {number: objects for number, objects in sheet.instances.items() if objects}
    yield "instances", {names[number]: [encode_mask(one.mask(sheet.size)) for one in objects] for number, objects in apart.items()}
    hidden_first = dict.fromkeys([*sheet.masks, *(each.number for each in sheet.objects)]) if sheet.masks else {}  # of equal masks the later lies on top
    yield "masks", {names[number]: encode_mask(sheet.mask(number)) for number in hidden_first if number not in apart}
    yield "boxes", {names[number]: [list(box) for box in boxes] for number, boxes in sheet.boxes.items()}
    yield "points", {names[number]: {"positive": [*positive], "negative": [*negative]} for number, (positive, negative) in sheet.points.items()}
    yield "scribbles", {names[number]: [[*line] for line in lines] for number, lines in sheet.scribbles.items()}
    yield "tags", {names[number]: there for number, there in sheet.tags.items()}
    yield "keypoints", {name: None if place is None else list(place[:2]) for name, place in sheet.keypoints.items()}
    yield "label", None if sheet.label is None else names[sheet.label]
    yield "unlabelled", sheet.unlabelled if sheet.unlabelled == "unknown" else None


def _target(target: Target) -> dict[str, Any]:
    about = {"unit": target.unit, "kind": target.kind}
    return about | ({} if target.range is None else {"range": list(target.range)})


def _merge(folder: Path, out: Path, classes: ClassTable) -> list[Path]:
    """Merge the parts that stand in `folder`, in the order of the images' names."""
    parts = walk_sorted(folder / PARTS, has_ending(".json")) if (folder / PARTS).is_dir() else ()
    targets: dict[str, Any] = {}
    with atomic_file(out / FILE) as stream:
        stream.write(b'{"likewise": 1, "classes": ' + json_text({str(number): classes[number] for number in classes}))
        stream.write(b',\n"examples": [')
        for place, part in enumerate(parts):
            content = read_json(folder / PARTS / part)
            targets |= content["targets"]
            stream.write((b",\n" if place else b"\n") + json_text(content["entry"]))
        stream.write(b'\n],\n"targets": ' + json_text(targets) + b"}\n")
    return [Path(FILE)]


ENCODER = Encoder(
    holds=frozenset(get_args(Need)),
    planned=lambda stem: [f"{PARTS}/{stem}.json", f"{LABELS}/{stem}.png"],
    encode=encode,
    finish=_merge,
    ending="",
    single=None,
    parts=PARTS,
)
