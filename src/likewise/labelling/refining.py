"""Coarse examples as a folder of masks: to look at, to correct, and to learn from again."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.images import read_image
from likewise.data.prediction import draw_labels
from likewise.errors import InputError
from likewise.files import replacing_folder
from likewise.formats.files import json_bytes, must_be_new, write_atomic
from likewise.formats.index_png_writer import label_png

if TYPE_CHECKING:
    from likewise.task import Task
    from likewise.task.segment_anything import SegmentAnything

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Refined:
    """What was written: names of examples whose masks were drawn, and of those that had theirs."""

    drawn: tuple[str, ...]
    kept: tuple[str, ...]


def refine_folder(task: Task, out: Path, watch: Watch | None = None, by: SegmentAnything | None = None) -> Refined:
    """Write the examples of a task with masks in place of coarse labels: images/, masks/, overlays/ and dataset.json.

    by: a promptable network that draws them instead, but for tags. Images are copied. OUT is there whole or not at all.
    Raises OutputError for a folder that holds something, InputError for a task whose examples have no files.
    """
    must_be_new(out)
    with replacing_folder(out) as draft:
        return _written(task, draft, watch, by)


def _written(task: Task, out: Path, watch: Watch | None, by: SegmentAnything | None) -> Refined:
    drawn: list[str] = []
    kept: list[str] = []
    names = [example.name for example in task.support.examples]
    for index, example in enumerate(task.support.examples):
        if not isinstance(example.image, (str, os.PathLike)):
            raise InputError("its image is no file", where=example.name, remedy="Refine by `Task.refine` in Python")
        own = task.refined_map(example, by)
        labels = own if own is not None else example.labels.label_map
        (kept if own is None else drawn).append(example.name)
        source = Path(example.image)
        write_atomic(out / "images" / f"{example.name}{source.suffix}", source.read_bytes())
        shown = np.zeros(example.labels.size, np.int16) if labels is None else labels
        write_atomic(out / "masks" / f"{example.name}.png", label_png(_stored(shown, task.classes.dtype)))
        write_atomic(out / "overlays" / f"{example.name}.jpg", _overlay(example.image, shown))
        if watch is not None:
            watch(index + 1, len(names))
    unlabelled = {example.labels.unlabelled for example in task.support.examples}
    about: dict[str, Any] = {"classes": {str(number): name for number, name in task.classes.names.items()}, "split": {"support": names}}
    about |= {"unlabelled": "unknown"} if unlabelled == {"unknown"} else {}
    write_atomic(out / "dataset.json", json_bytes(about))
    return Refined(tuple(drawn), tuple(kept))


def _stored(labels: NDArray[np.integer], dtype: type[np.generic] | np.dtype[Any]) -> NDArray[np.integer]:
    """A label map as predictions have it: uint8 with 255 for ignore, or int16 where there are more classes than that holds."""
    return np.where(labels < 0, 255, labels).astype(np.uint8) if np.dtype(dtype) == np.uint8 else labels


def _overlay(image: str | os.PathLike[str], labels: NDArray[np.integer]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(draw_labels(read_image(image), np.maximum(labels, 0), 0.45)).save(stream, "JPEG", quality=88)
    return stream.getvalue()
