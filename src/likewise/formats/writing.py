"""The doors of writing: one prediction to a path, or a run's labels into a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from likewise.data import ClassTable, Prediction, Target
from likewise.errors import OutputError, UsageError, close_match
from likewise.formats import (
    class_table,
    class_writer,
    coco_writer,
    cvat_writer,
    dense_files,
    examples_json_writer,
    geotiff_writer,
    index_png_writer,
    keypoint_files,
    label_studio_writer,
    labelme_writer,
    overlays,
    voc_writer,
    yolo_writer,
)
from likewise.formats.dataset import without_ending
from likewise.formats.encoder import Encoder
from likewise.formats.files import name_inside, write_atomic
from likewise.formats.recognise import FORMATS, format_named
from likewise.formats.sheet import Sheet, of_prediction

_RESERVED = frozenset({"annotations", "classes", "dataset", "examples", "instances", "manifest", "report", "run", "times", "truth"})

ENCODERS: Mapping[str, Encoder] = {
    "index-png": index_png_writer.ENCODER,
    "coco": coco_writer.ENCODER,
    "labelme": labelme_writer.ENCODER,
    "voc": voc_writer.ENCODER,
    "yolo": yolo_writer.ENCODER,
    "cvat": cvat_writer.ENCODER,
    "label-studio": label_studio_writer.ENCODER,
    "geotiff": geotiff_writer.ENCODER,
    "examples": examples_json_writer.ENCODER,
}


class LabelWriter(Protocol):
    """Writes the labels of a run, an image at a time; safe to call from one thread at a time."""

    def planned(self, name: str) -> list[Path]:
        """Every file, relative to the output folder, that `write(name, ...)` may write; it writes some of them."""

    def write(self, name: str, prediction: Prediction) -> list[Path]:
        """Write the labels of an image; the files written, relative to the output folder."""

    def finish(self, lines: Iterable[Mapping[str, Any]] = ()) -> list[Path]:
        """Write what describes the whole run, of whose manifest these are the lines; the files written, relative to the output folder."""


@dataclass(frozen=True)
class FolderWriter:
    """Labels of a run in one format; see `open_writer`."""

    format: str
    out: Path
    final: Path
    classes: ClassTable
    targets: Mapping[str, Target]
    overlay: bool
    keypoints: bool
    clashing: frozenset[str]

    def planned(self, name: str) -> list[Path]:
        """Every file that `write(name, ...)` may write, relative to the output folder."""
        stem = self._stem(name)
        labels = ENCODERS[self.format].planned(stem)
        dense = [stem + ending for ending in dense_files.suffixes(self.targets)]
        dense += [stem + keypoint_files.ENDING] if self.keypoints else []
        return [Path(file) for file in (labels if self.classes.names else []) + dense + ([stem + overlays.ENDING] if self.overlay else [])]

    def write(self, name: str, prediction: Prediction) -> list[Path]:
        """Write label, dense maps, keypoints and overlay of an image, each whole or not at all; the files, relative to the output folder."""
        files = _encoded(self._stem(name), of_prediction(name, prediction), ENCODERS[self.format].encode)
        if self.overlay:
            files[self._stem(name) + overlays.ENDING] = overlays.encode(prediction)
        for file, content in files.items():
            write_atomic(self.out / file, content)
        return [Path(file) for file in files]

    def finish(self, lines: Iterable[Mapping[str, Any]] = ()) -> list[Path]:
        """Write the table of classes, or merge what stands in `final` into one file; the lines of the run tell nothing that is not there."""
        if not self.classes.names:
            return []
        return ENCODERS[self.format].finish(self.final, self.out, self.classes)

    def _stem(self, name: str) -> str:
        return output_stem(name, self.clashing)


def open_writer(
    format: str,
    out: str | Path,
    classes: ClassTable,
    targets: Mapping[str, Target],
    *,
    overlay: bool = False,
    keypoints: bool = False,
    names: Iterable[str] = (),
    final: str | Path | None = None,
) -> LabelWriter:
    """A writer of labels in `format` into the folder `out`.

    overlay: also NAME.overlay.jpg; keypoints: also NAME.keypoints.json; names: all names of the run, so that a.jpg and a.png get labels of different
    names; final: the folder where the written files stand in the end, if `out` is a place on the way.
    Raises UsageError for a format that is not written.
    """
    _check_writes(format)
    if format in class_writer.FORMATS:
        return class_writer.ClassWriter(format, Path(out), classes, overlay)
    endings = [".overlay", ".keypoints", ".instances", *(f".{dense_files.safe_name(name)}" for name in targets)]
    return FolderWriter(format, Path(out), Path(final or out), classes, dict(targets), overlay, keypoints, clashing(names, endings))


def clashing(names: Iterable[str], suffixes: Sequence[str] = ()) -> frozenset[str]:
    """The names whose labels must keep the image's ending, since without it they would have the name of another file.

    >>> sorted(clashing(["a.jpg", "a.png", "b.jpg"]))
    ['a.jpg', 'a.png']
    """
    first: dict[str, str] = {}
    found: set[str] = set()
    listed = list(names)
    for name in listed:
        other = first.setdefault(without_ending(name).casefold(), name)
        if other != name:
            found |= {other, name}
    for stem, name in first.items():
        for suffix in suffixes:
            if stem.endswith(suffix.casefold()) and stem[: -len(suffix)] in first:
                found.add(name)
    return frozenset(found)


def output_stem(name: str, keep_ending: frozenset[str] = frozenset()) -> str:
    """The NAME of an image's labels: its path without the ending, or with it where that would clash.

    >>> output_stem("left/a.jpg"), output_stem("run.jpg")
    ('left/a', 'run.jpg')
    """
    name_inside(name)
    bare = without_ending(name)
    return name if name in keep_ending or bare in _RESERVED else bare


def write_prediction(prediction: Prediction, path: str | Path, format: str | None = None) -> list[Path]:
    """Write one prediction to `path`, dense maps beside it as NAME.TARGET.png or .npy, points as NAME.keypoints.json; the files written.

    The class of a whole image is a table of one line. format: None goes by the ending, .json is labelme, .csv such a table and everything
    else index PNG. A file that stands at the path is replaced, but never the image itself.
    """
    place = Path(path)
    chosen = format or {".json": "labelme", ".csv": "csv"}.get(place.suffix.lower(), "index-png")
    _check_writes(chosen)
    if (chosen == "csv") != bool(prediction.probabilities) or chosen == class_writer.FOLDER:
        told = "it is of the class of a whole image" if prediction.probabilities else "it has no class of the whole image"
        raise UsageError(told, where=str(place), remedy=f"Name the file {place.stem}{'.csv' if prediction.probabilities else '.png'}")
    encoder = ENCODERS.get(chosen)
    wanted = ".csv" if encoder is None else encoder.ending
    if place.suffix.lower() != wanted:
        raise UsageError(f"{chosen} is written to a {wanted} file", where=str(place), remedy=f"Name it {place.stem}{wanted}, or give another format")
    if encoder is None:
        return _table(prediction, place)
    if encoder.single is None:
        raise UsageError(f"{chosen} is a folder, not a file of one image", where=str(place), remedy="Write it by `likewise label`, or give another format")
    image = prediction.image if isinstance(prediction.image, (str, os.PathLike)) else None
    name = Path(image).name if image is not None else place.with_suffix(".png").name
    files = _encoded(place.stem, of_prediction(name, prediction), encoder.single)
    places = [place.with_name(place.name if file == place.stem + wanted else file) for file in files]
    if image is not None and any(each.exists() and Path(image).exists() and each.samefile(image) for each in places):
        raise OutputError("it is the image itself", where=str(place), remedy="Choose another name")
    for each, content in zip(places, files.values(), strict=True):
        write_atomic(each, content)
    return places


def _table(prediction: Prediction, place: Path) -> list[Path]:
    """A table of one line at a path."""
    name = Path(prediction.image).name if isinstance(prediction.image, (str, os.PathLike)) else place.stem
    line = {"image": name, "probabilities": prediction.probabilities, "confidence": prediction.confidence}
    write_atomic(place, b"".join(class_table.encoded([line], prediction.classes)))
    return [place]


def _check_writes(format: str) -> None:
    if not format_named(format).writes:
        known = [each.name for each in FORMATS if each.writes]
        raise UsageError(f"{format} is read, not written", where="format", remedy=close_match(format, known))


def _encoded(stem: str, sheet: Sheet, encode: Callable[[str, Sheet], dict[str, bytes]]) -> dict[str, bytes]:
    """File name -> content of all that is written of an image, dense maps and points beside the labels in every format."""
    files = encode(stem, sheet) if sheet.classes.names else {}
    for target, values in sheet.dense.items():
        files |= dense_files.encode(stem, target, values, sheet.targets.get(target, Target()))
    return files | keypoint_files.encode(stem, sheet.keypoints)
