"""What a labelling run is told, and what it says at the end."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from likewise.data.limits import MAX_PIXELS
from likewise.errors import UsageError
from likewise.labelling.measuring import PixelSize
from likewise.labelling.shards import Shard
from likewise.task.adapting import checked

if TYPE_CHECKING:
    from likewise.backbones import CacheCounts

OFF = "off"
PIXEL_SIZE = "pixel_size"  # in the fingerprint of a run, where it was told


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to label a folder.

    format: the format to write, a name of `likewise.formats.FORMATS`; overlays: also write NAME.overlay.jpg;
    only_unsure: write labels only where the confidence is below this (0..1); batch: images of one shape that go
    through the network together; workers: threads that decode, 0 for a number that suits the machine; max_pixels:
    larger images and masks are refused; resume: go on with the run that stands in the output
    folder; shard: label only this share of the list, for another machine to label another; truth: reference labels to compare with, and their format
    and split where these must be told; report: write report.html at the end; pixel_size: how long a pixel is, for the tables of
    what was measured; adapt: fit the task to the images first, "prior", "features" or "both" (`Task.adapt`), "off" for not.
    """

    format: str | None = None
    overlays: bool = False
    only_unsure: float | None = None
    batch: int | Literal["auto"] = "auto"
    workers: int = 0
    max_pixels: int = MAX_PIXELS
    resume: bool = False
    shard: Shard | None = None
    truth: Path | None = None
    truth_format: str | None = None
    truth_split: str | None = None
    report: bool = True
    pixel_size: PixelSize | None = None
    adapt: str = OFF

    def __post_init__(self) -> None:
        if self.batch != "auto" and (isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 1):
            raise UsageError(f"the batch is {self.batch!r}", where="--batch", remedy="Give 'auto' or a number of images from 1")
        if self.only_unsure is not None and not 0 <= self.only_unsure <= 1:
            raise UsageError(f"the threshold is {self.only_unsure}", where="--only-unsure", remedy="Give a confidence from 0 to 1")
        if self.workers < 0:
            raise UsageError(
                f"the number of workers is {self.workers}", where="--workers", remedy="Give a number from 1, or 0 to leave the choice to the program"
            )
        if self.adapt != OFF:
            checked(self.adapt)
        if self.max_pixels < 1:
            raise UsageError(f"the limit is {self.max_pixels} pixels", where="--max-pixels", remedy="Give a number from 1")

    def decoding_threads(self) -> int:
        """The threads to decode with: as told, else a quarter of the cores, between 2 and 8."""
        return self.workers or min(8, max(2, (os.cpu_count() or 2) // 4))

    def that_change_labels(self) -> dict[str, str]:
        """The options that decide which bytes are written, for the fingerprint of the run."""
        return {
            "format": str(self.format),
            "overlays": str(self.overlays),
            "only_unsure": str(self.only_unsure),
            "max_pixels": str(self.max_pixels),
            **({} if self.pixel_size is None else {PIXEL_SIZE: str(self.pixel_size)}),
            **({} if self.shard is None else {"shard": str(self.shard)}),
        }


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run did, counted over the whole output folder (also over earlier runs that it went on with).

    images: lines of the manifest; labelled: images whose labels were written; sure: images left out by
    `only_unsure`; failed: images with an error; earlier: images that were done before this run started; edited: label
    files that somebody changed since they were written (left alone); kept: files that stood in the way (left alone);
    classes: {class: images that show it}; seconds: by stage, over all runs; elapsed: seconds of this run; truth: scores
    against the reference labels, if any; batch: images at once, after halving; manifest: the file with a line an image, or the folder of its parts;
    report: the page, if written; cache: features that this run read and made, where some are kept; objects: {class: how many}, where they are told apart;
    decided: {class: images to be looked at for it}, where a share that may be missed was asked for.
    """

    out: Path
    images: int
    labelled: int
    sure: int
    failed: int
    earlier: int
    edited: tuple[str, ...]
    kept: tuple[str, ...]
    classes: dict[str, int]
    seconds: dict[str, float]
    elapsed: float
    batch: int
    manifest: Path
    files: tuple[str, ...] = ()
    truth: dict[str, Any] | None = field(default=None)
    report: Path | None = None
    cache: CacheCounts | None = None
    objects: dict[str, int] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Images a second of this run alone."""
        return (self.images - self.earlier) / self.elapsed if self.elapsed > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "out": str(self.out),
            "images": self.images,
            "labelled": self.labelled,
            "sure": self.sure,
            "failed": self.failed,
            "earlier": self.earlier,
            "edited": list(self.edited),
            "kept": list(self.kept),
            "classes": self.classes,
            "objects": self.objects,
            **({"decided": self.decided} if self.decided else {}),
            "seconds": {stage: round(seconds, 3) for stage, seconds in self.seconds.items()},
            "elapsed": round(self.elapsed, 3),
            "images_a_second": round(self.rate, 3),
            "batch": self.batch,
            "manifest": str(self.manifest),
            "files": list(self.files),
            "truth": self.truth,
            "report": None if self.report is None else str(self.report),
            "cache": None if self.cache is None else dataclasses.asdict(self.cache),
        }


def overhead(seconds: dict[str, float]) -> float | None:
    """Seconds of every stage but the backbone as a share of the backbone's; None without a backbone."""
    backbone = seconds.get("backbone", 0.0)
    return (sum(seconds.values()) - backbone) / backbone if backbone else None
