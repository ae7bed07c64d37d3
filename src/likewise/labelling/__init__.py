"""Labelling folders of images: a stream that can be resumed, its manifest, and its report."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.data.limits import limited_pixels
from likewise.formats import ImageList, list_images
from likewise.labelling.engine import check, run, usual_batch
from likewise.labelling.measuring import PixelSize
from likewise.labelling.merging import merge
from likewise.labelling.options import RunOptions, RunSummary, overhead
from likewise.labelling.preview import Preview, look_ahead
from likewise.labelling.progress import Progress, Silent
from likewise.labelling.shards import Shard

if TYPE_CHECKING:
    import os

    from likewise.task import Task

__all__ = [
    "PixelSize",
    "Preview",
    "Progress",
    "RunOptions",
    "RunSummary",
    "Shard",
    "Silent",
    "check",
    "label_folder",
    "look_ahead",
    "merge",
    "overhead",
    "run",
    "usual_batch",
]


def label_folder(
    task: Task,
    images: str | os.PathLike[str] | ImageList,
    out: str | os.PathLike[str],
    *,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    **fields: Any,
) -> RunSummary:
    """What was labelled: every image of a folder, a list or a dataset, with labels, manifest and report in `out`.

    images: a path as `likewise.formats.list_images` takes it, or its result; options: a `RunOptions`, or its fields by
    name. Images that cannot be labelled are counted in the summary. Raises OutputError if `out` cannot be used.
    """
    listed = images if isinstance(images, ImageList) else list_images(Path(images))
    chosen = dataclasses.replace(options or RunOptions(), **fields)
    with limited_pixels(chosen.max_pixels):
        return run(task, listed, Path(out), chosen, progress or Silent())
