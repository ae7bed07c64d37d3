"""Small valid data sets of every format that is read, and ways to change a file of them, for `fuzz.py`."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

from likewise.formats.converting import SETS, convert, plan

HOSTILE = (
    *("", " ", "../x", "/etc/passwd", "..\\x", "a" * 300, "<script>", "=cmd|'/c'!A0", "\x1b[2J", "\x00", "\ud800", "con", ".", "nan", "inf", "1e400"),
    *(0, -1, 1, 2, 255, 256, 65_535, 32_767, 2**31, 2**63, 10**400, -(2**63), 0.5, -0.5, 1e7, 1e300, -1e300, True, None),
    *([], {}, [[]], [0], [1, 2, 3], {"a": 1}, "0", "-1", "1 2", "1,2;3,4"),
)
Change = Callable[[bytes, st.DataObject], bytes]


def seeds(folder: Path) -> Mapping[str, Path]:
    """Name -> folder (or file) of a valid data set, made below `folder`."""
    photo = np.random.default_rng(5).integers(0, 256, (7, 10, 3), dtype=np.uint8)
    mask = np.zeros((7, 10), np.uint8)
    mask[1:5, 1:6], mask[2, 3], mask[5:, 7:], mask[6, 9] = 1, 0, 2, 255
    base = folder / "index-png"
    for name in ("images", "masks", "depth", "heat", "instances"):
        (base / name).mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(photo).save(base / f"images/{name}.png")
        Image.fromarray(mask).save(base / f"masks/{name}.png")
        Image.fromarray((mask > 0).astype(np.uint8)).save(base / f"instances/{name}.png")
        np.save(base / f"depth/{name}.npy", photo[:, :, 0].astype(np.float32))
    tifffile.imwrite(base / "heat/a.tif", photo[:, :, 1].astype(np.float32), compression="zlib")
    Image.fromarray(photo[:, :, 2]).save(base / "heat/b.png")
    points = {"keypoints": ["nose", "tail"], "points": {"a": [[1, 2, 2], [0, 0, 0]], "b": [None, [3.5, 4, 1]]}}
    _json(base / "keypoints.json", points)
    about = {"classes": {"1": "crack", "2": "stain"}, "split": {"support": ["a"], "query": ["b"]}, "targets": {"heat": {"dir": "heat", "scale": 0.5}}}
    _json(base / "dataset.json", about)
    made = {"index-png": base}
    for format in sorted(set(SETS) - {"csv", "folders", "geotiff", "index-png"}):
        made[format] = folder / format
        convert(plan(base, format), made[format])
    made |= {name: folder / name for name in ("csv", "folders", "coco-panoptic", "kinds")}
    for name in ("cat", "dog"):
        (folder / "folders" / name).mkdir(parents=True)
        Image.fromarray(photo).save(folder / f"folders/{name}/1.png")
    convert(plan(folder / "folders", "csv"), folder / "csv")
    _panoptic(folder / "coco-panoptic", photo, mask)
    _kinds(folder / "kinds", photo, mask)
    made["vectors"] = folder / "vectors.npz"
    np.savez(made["vectors"], classes=np.array(["cat", "dog"]), vectors=np.eye(2))
    made["vectors-csv"] = folder / "vectors.csv"
    made["vectors-csv"].write_text("class,has wings,is metal\nanchor,0,1\nbird,1,0.5\n")
    return made


def _panoptic(folder: Path, photo: np.ndarray, mask: np.ndarray) -> None:
    (folder / "panoptic").mkdir(parents=True)
    Image.fromarray(photo).save(folder / "a.png")
    Image.fromarray(np.dstack([np.where(mask == 255, 0, mask), 0 * mask, 0 * mask])).save(folder / "panoptic/a.png")
    segments = [{"id": 1, "category_id": 1, "iscrowd": 0}, {"id": 2, "category_id": 2, "iscrowd": 1}]
    content = {"images": [{"id": 1, "file_name": "a.png", "height": 7, "width": 10}], "categories": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]}
    _json(folder / "panoptic.json", content | {"annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}]})


def _kinds(folder: Path, photo: np.ndarray, mask: np.ndarray) -> None:
    """Our own examples.json with every kind of label, and pictures of many kinds."""
    folder.mkdir()
    for ending in ("jpg", "tif", "webp", "gif", "bmp", "jp2"):
        Image.fromarray(photo).save(folder / f"a.{ending}")
    Image.fromarray(mask).save(folder / "mask.png")
    np.save(folder / "d.npy", photo.astype(np.float32))
    entry = {
        "boxes": {"x": [[1, 2, 3, 4]]},
        "points": {"y": {"positive": [[1, 2]], "negative": [[3, 3]]}},
        "scribbles": {"z": [[[1, 1], [5, 5]]]},
        "tags": {"w": False},
    }
    masks = {
        "masks": {"x": {"size": [7, 10], "counts": [10, 50, 10]}},
        "instances": {"y": ["mask.png"]},
        "dense": {"n": "d.npy"},
        "keypoints": {"p": [1, 2], "q": None},
    }
    examples: list[dict[str, Any]] = [
        {"image": "a.jpg", **entry},
        {"image": "a.tif", "name": "tif", **masks},
        {"image": "a.webp", "name": "webp", "label": "x"},
    ]
    examples += [{"image": f"a.{ending}", "name": ending, "tags": {"x": True}} for ending in ("gif", "bmp", "jp2")]
    _json(folder / "examples.json", {"likewise": 1, "targets": {"n": {"kind": "real"}}, "examples": examples})


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def changed(content: bytes, ending: str, data: st.DataObject) -> bytes:
    """A file with some of it changed: a value of its structure where it has one that is known, else some bytes."""
    structure: Change | None = {".json": _changed_json, ".png": _changed_png}.get(ending)
    if ending in (".xml", ".yaml", ".txt", ".csv"):
        structure = _changed_token
    if structure is not None and data.draw(st.integers(0, 3)):
        return structure(content, data)
    return _changed_bytes(content, data)


def _changed_bytes(content: bytes, data: st.DataObject) -> bytes:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = min(len(content), start + data.draw(st.sampled_from([0, 1, 1, 1, 2, 4, 16, 1 << 20])))
        put = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", content[stop : stop + 64], content[:64]]))
        )
        content = content[:start] + put + content[stop:]
    return content


def _changed_token(content: bytes, data: st.DataObject) -> bytes:
    """A text in which a word, a number or a line is another."""
    places = [found.span() for found in re.finditer(rb"[\w.+-]+|[^\n]+\n|\S", content)]
    for _ in range(data.draw(st.integers(1, 2))):
        start, stop = data.draw(st.sampled_from(places)) if places else (0, 0)
        put = (
            str(data.draw(st.sampled_from(HOSTILE))).encode("utf-8", "surrogatepass")
            if data.draw(st.booleans())
            else content[start:stop] * data.draw(st.integers(0, 3))
        )
        content = content[:start] + put + content[stop:]
    return content


def _changed_json(content: bytes, data: st.DataObject) -> bytes:
    """JSON in which some values are others, are gone, are there twice, or lie where another did."""
    try:
        value = json.loads(content)
    except ValueError:
        return _changed_bytes(content, data)
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = data.draw(st.sampled_from(places))
        how = data.draw(st.integers(0, 4))
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif how == 2:
            other, other_key = data.draw(st.sampled_from(places))
            holder[key] = json.loads(json.dumps(other[other_key]))
        elif how == 3 and isinstance(holder, dict):
            holder[str(data.draw(st.sampled_from(HOSTILE)))[:400]] = holder.pop(key)
        else:
            holder[key] = deepcopy(data.draw(st.sampled_from(HOSTILE)))
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    """(holder, key) of everything in a value of JSON."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []:
        yield value, key
        yield from _places(value[key])


def _changed_png(content: bytes, data: st.DataObject) -> bytes:
    """A PNG in which bytes of a chunk are others, and its sum is right again."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return _changed_bytes(content, data)
    which = data.draw(st.integers(0, len(chunks) - 1))
    kind, inner = chunks[which]
    below = kind == b"IDAT" and data.draw(st.booleans())  # the pixels, or the bytes that hold them
    chunks[which] = (kind, zlib.compress(_changed_bytes(_unpacked(inner), data)) if below else _changed_bytes(inner, data)[: 1 << 16])
    return content[:8] + b"".join(len(part).to_bytes(4, "big") + name + part + zlib.crc32(name + part).to_bytes(4, "big") for name, part in chunks)


def _unpacked(content: bytes) -> bytes:
    """Pixels of a PNG, none of what was changed already."""
    try:
        return zlib.decompressobj().decompress(content, 1 << 20)
    except zlib.error:
        return b""
