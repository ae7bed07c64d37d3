"""From predictions to files: labels, thumbnail, comparison with the truth, and the lines about them in the order of the list.

Everything here runs in one thread beside the network.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.data import Prediction
from likewise.errors import InputError, LikewiseError
from likewise.labelling.folder import OutputFolder
from likewise.labelling.gallery import Gallery
from likewise.labelling.lines import LineWriter, rounded
from likewise.labelling.measuring import measured
from likewise.labelling.parts import ManifestWriter
from likewise.labelling.scoring import Scorer, shown_classes
from likewise.labelling.tally import Tally

if TYPE_CHECKING:
    from likewise.backbones import Prepared
    from likewise.formats import LabelWriter


@dataclass(frozen=True)
class Item:
    """An image of the list: its position, its name in the manifest, and its path."""

    position: int
    name: str
    path: Path


@dataclass(frozen=True)
class Sums:
    """What is gathered over the images of a run: thumbnails of some, and counts of all."""

    gallery: Gallery
    tally: Tally

    def recall(self, record: dict[str, Any]) -> None:
        """Count an image of an earlier run, by its line of the manifest."""
        self.gallery.recall(record)
        self.tally.add(record)


@dataclass(frozen=True)
class Lines:
    """The files that lines are appended to."""

    manifest: ManifestWriter
    times: LineWriter
    truth: LineWriter


class Recorder:
    """Writes what is known of each image. Images may come in any order; their lines leave in the order of the list.

    first: the position of the first image without a line; only_unsure: see `RunOptions`.
    """

    def __init__(
        self, folder: OutputFolder, writer: LabelWriter, lines: Lines, sums: Sums, scorer: Scorer | None, first: int, only_unsure: float | None
    ) -> None:
        self._folder, self._writer, self._lines, self._sums, self._scorer = folder, writer, lines, sums, scorer
        self._only_unsure = only_unsure
        self._first = self._next = first
        self._waiting: dict[int, tuple[dict[str, Any], dict[str, Any] | None]] = {}

    def predicted(self, items: Sequence[tuple[Item, Prepared, Prediction]], seconds: Mapping[str, float]) -> int:
        """Write a batch; `seconds` by stage were spent on it before. Returns the number of images."""
        spent = dict(seconds)
        for item, prepared, prediction in items:
            self._one(item, prepared, prediction, spent)
        self._lines.times.write({"images": len(items), "seconds": {stage: round(value, 6) for stage, value in spent.items()}})
        self._emit()
        return len(items)

    def failed(self, item: Item, error: LikewiseError) -> int:
        """Note that an image cannot be labelled, and why. Returns the number of images."""
        self._keep(item, {"image": item.name, "error": error_record(error, item)}, None)
        self._emit()
        return 1

    def sync(self) -> int:
        """Have the lines written so far on the disk. Returns the number of images, which is none."""
        self._lines.manifest.sync()
        return 0

    def _one(self, item: Item, prepared: Prepared, prediction: Prediction, spent: dict[str, float]) -> None:
        start = time.perf_counter()
        confidence = rounded(prediction.confidence)
        record: dict[str, Any] = {"image": item.name, "sha256": prepared.digest, "size": list(prediction.size)}
        record["present"] = {name: rounded(p) for name, p in shown_classes(prediction).items()}
        if prediction.decided:
            record["decided"] = {name: rounded(prediction.present[name]) for name, look in prediction.decided.items() if look}
        record["confidence"] = confidence
        if prediction.probabilities:
            record["probabilities"] = {name: rounded(p) for name, p in prediction.probabilities.items()}
        if prediction.keypoints:
            record["keypoints"] = {name: [rounded(value) for value in point] for name, point in prediction.keypoints.items()}
        if prediction.count:
            record["count"] = {name: rounded(value) for name, value in prediction.count.items()}
        record |= measured(prediction)
        if self._only_unsure is None or confidence is None or confidence < self._only_unsure:
            record |= self._labels(item, prediction)
        else:
            record |= {"files": {}, "sure": True}
        start = _count(spent, "write", start)
        if item.position >= self._first and confidence is not None:
            self._sums.gallery.offer(item.name, confidence, prepared, prediction)
            start = _count(spent, "thumbnail", start)
        comparison = None
        if self._scorer is not None:
            comparison = self._scorer.compare(item.name, prediction)
            _count(spent, "truth", start)
        self._keep(item, record, comparison)

    def _labels(self, item: Item, prediction: Prediction) -> dict[str, Any]:
        """Write the labels of an image: what the manifest says of the files, or why its format cannot hold them."""
        files, kept = {}, []
        try:
            written = self._writer.write(item.name, prediction)
        except InputError as error:
            return {"files": {}, "error": error_record(error, item)}
        for path in written:
            digest, stands = self._folder.commit(path)
            if stands:
                files[path.as_posix()] = digest
            else:
                kept.append(path.as_posix())
        if not kept:
            return {"files": files}
        what = f"{', '.join(kept)} stood there before and is not what this run writes; it was left alone"
        return {
            "files": files,
            "kept": kept,
            "error": {"what": what, "where": item.name, "remedy": "Move it away and label the image again, or choose another folder"},
        }

    def _keep(self, item: Item, record: dict[str, Any], comparison: dict[str, Any] | None) -> None:
        if item.position >= self._first:
            self._waiting[item.position] = (record, comparison)

    def _emit(self) -> None:
        while self._next in self._waiting:
            record, comparison = self._waiting.pop(self._next)
            if comparison is not None:
                self._lines.truth.write(comparison)
            self._lines.manifest.write(record)
            self._sums.tally.add(record)
            self._next += 1


def error_record(error: LikewiseError, item: Item) -> dict[str, str]:
    """What, where and remedy of an error as plain values; the image is named as in the list, so that no line depends on the folder's place."""
    where = error.where.replace(str(item.path), item.name) if error.where else item.name
    return {"what": error.what.replace(str(item.path), item.name), "where": where, "remedy": error.remedy}


def _count(spent: dict[str, float], stage: str, start: float) -> float:
    now = time.perf_counter()
    spent[stage] = spent.get(stage, 0.0) + now - start
    return now
