"""The doors of writing: one prediction to a path, or a run's labels into a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

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
from likewise.formats.spread import FOLDER, spread

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
    """Labels of a run in one format; see `open_writer`. Clashing names are few; all others are not kept."""

    format: str
    out: Path
    final: Path
    classes: ClassTable
    targets: Mapping[str, Target]
    overlay: bool
    keypoints: bool
    clashing: frozenset[str]
    spread: bool = False

    def planned(self, name: str) -> list[Path]:
        """Every file that `write(name, ...)` may write, relative to the output folder."""
        stem = self._stem(name)
        labels = ENCODERS[self.format].planned(stem) if self._holds else []
        dense = [stem + ending for ending in dense_files.suffixes(self.targets)]
        dense += [stem + keypoint_files.ENDING] if self.keypoints else []
        return [self._place(file, stem) for file in labels + dense + ([stem + overlays.ENDING] if self.overlay else [])]

    def write(self, name: str, prediction: Prediction) -> list[Path]:
        """Write label, dense maps, keypoints and overlay of an image, each whole or not at all; the files, relative to the output folder."""
        stem = self._stem(name)
        files = _encoded(stem, of_prediction(name, prediction), ENCODERS[self.format].encode if self._holds else None)
        if self.overlay:
            files[stem + overlays.ENDING] = overlays.encode(prediction)
        placed = {self._place(file, stem): content for file, content in files.items()}
        for path, content in placed.items():
            write_atomic(self.out / path, content)
        return list(placed)

    def finish(self, lines: Iterable[Mapping[str, Any]] = ()) -> list[Path]:
        """Write the table of classes, or merge what stands in `final` into one file; the lines of the run tell nothing that is not there."""
        return ENCODERS[self.format].finish(self.final, self.out, self.classes) if self._holds else []

    @property
    def _holds(self) -> bool:
        """Whether something of the task stands in the format's own files, not in those beside them alone."""
        encoder = ENCODERS[self.format]
        itself = frozenset() if encoder.side_files else encoder.holds
        return bool(self.classes.names) or (self.keypoints and "keypoints" in itself) or (bool(self.targets) and "dense" in itself)

    def _stem(self, name: str) -> str:
        stem = output_stem(name, self.clashing)
        return spread(stem) if self.spread else stem

    def _place(self, file: str, stem: str) -> Path:
        """Where a file of an image goes: what is in no folder of its format's lies below labels/ in a run that spreads its files."""
        return Path(f"{FOLDER}{file}" if self.spread and file.startswith(stem) else file)


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
    spread: bool = False,
) -> LabelWriter:
    """A writer of labels in `format` into the folder `out`.

    overlay: also NAME.overlay.jpg; keypoints: also NAME.keypoints.json; names: all names of the run, so that a.jpg and a.png get labels of different
    names; final: the folder where the written files stand in the end, if `out` is a place on the way.
    Raises UsageError for a format that is not written.
    """
    _check_writes(format)
    if format in class_writer.FORMATS:
        return class_writer.ClassWriter(format, Path(out), classes, overlay, spread)
    endings = [".overlay", ".keypoints", ".instances", *(f".{dense_files.safe_name(name)}" for name in targets)]
    return FolderWriter(format, Path(out), Path(final or out), classes, dict(targets), overlay, keypoints, clashing(names, endings), spread)


def clashing(names: Iterable[str], suffixes: Sequence[str] = ()) -> frozenset[str]:
    """The names whose labels must keep the image's ending, since without it they would have the name of another file.

    >>> sorted(clashing(["a.jpg", "a.png", "b.jpg"]))
    ['a.jpg', 'a.png']
    """
    listed = names if isinstance(names, Sequence) else list(names)
    endings = tuple(suffix.casefold() for suffix in suffixes)
    keys, ended = np.zeros(len(listed), np.uint64), []
    for place, name in enumerate(listed):
        stem = without_ending(name).casefold()
        keys[place] = _key(stem)
        if endings and stem.endswith(endings):
            ended.append(place)
    unique, counts = np.unique(keys, return_counts=True)
    alike: dict[str, set[str]] = {}  # of few names: those whose key is that of another
    for place in np.flatnonzero(np.isin(keys, unique[counts > 1])).tolist():
        alike.setdefault(without_ending(listed[place]).casefold(), set()).add(listed[place])
    found = {name for names_of in alike.values() if len(names_of) > 1 for name in names_of}
    return frozenset(found | {listed[place] for place in ended if _is_side_file(listed[place], endings, unique)})


def _key(stem: str) -> int:
    """64 bits of a name."""
    return int.from_bytes(hashlib.blake2b(stem.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def _is_side_file(name: str, endings: Sequence[str], keys: NDArray[np.uint64]) -> bool:
    """Whether the labels of an image would have the name of a file beside those of another; keys: of all images, sorted."""
    stem = without_ending(name).casefold()
    others = np.array([_key(stem[: -len(ending)]) for ending in endings if stem.endswith(ending)], np.uint64)
    return bool(np.isin(others, keys).any())


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
    files = _encoded(place.stem, of_prediction(name, prediction), encoder.single if prediction.classes.names else None)
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


def _encoded(stem: str, sheet: Sheet, encode: Callable[[str, Sheet], dict[str, bytes]] | None) -> dict[str, bytes]:
    """File name -> content of all that is written of an image, dense maps and points beside the labels in every format; encode: None for those alone."""
    files = {} if encode is None else encode(stem, sheet)
    for target, values in sheet.dense.items():
        files |= dense_files.encode(stem, target, values, sheet.targets.get(target, Target()))
    return files | keypoint_files.encode(stem, sheet.keypoints)
