"""Thumbnails of a bounded sample of the labelled images, kept on disk so that a resumed run has them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data import Prediction
from likewise.data.images import read_image
from likewise.data.prediction import draw_class, draw_dense, draw_labels, draw_points, visible
from likewise.labelling.sample import Sample

if TYPE_CHECKING:
    from likewise.backbones import Prepared

LONG_SIDE = 256  # pixels; sharp enough for a phone, about 10 kB
QUALITY = 72
UNSURE, DRAWN = 300, 300  # thumbnails of a report: about 8 MB as text


def thumbnail(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.generic] | None,
    dense: NDArray[np.floating] | None = None,
    keypoints: Mapping[str, tuple[float, float, float]] | None = None,
) -> bytes:
    """A small JPEG of an image (H, W, 3) with its labels (h, w) and keypoints (in pixels of the labels) over it, or with a dense map beside it.

    Sizes may differ, shapes may not much.
    """
    small = shrunk(pixels)
    down, across = small.shape[:2]
    if keypoints and labels is not None:
        small = draw_points(small, visible(keypoints), list(keypoints), across / labels.shape[1])
    if dense is not None:
        planes = dense.reshape(*dense.shape[:2], -1)
        channels = planes if planes.shape[2] == 3 else planes[:, :, 0]
        values = cv2.resize(np.asarray(channels, np.float32), (across, down), interpolation=cv2.INTER_NEAREST)
        small = np.hstack([small, draw_dense(small, np.asarray(values, np.float32))])
    elif labels is not None:
        small = draw_labels(small, np.asarray(cv2.resize(labels.astype(np.int16), (across, down), interpolation=cv2.INTER_NEAREST), np.int16))
    stream = io.BytesIO()
    Image.fromarray(small).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (H, W, 3) with its longer side at most 256."""
    height, width = pixels.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, (across, down), interpolation=cv2.INTER_AREA), np.uint8)


class Gallery:
    """The thumbnails of a run; which images have one (`sample`) depends on their names and confidences alone."""

    def __init__(self, folder: Path, unsure: int = UNSURE, drawn: int = DRAWN) -> None:
        self._folder = folder
        self.sample = Sample(unsure, drawn)

    def recall(self, record: Mapping[str, Any]) -> None:
        """Count an image of an earlier run, by its line of the manifest."""
        if record.get("confidence") is not None:
            self.sample.offer(record["image"], record["confidence"])

    def tidy(self) -> None:
        """Remove the thumbnails of images that are not in the sample (left by a run that was killed)."""
        wanted = {self.path(name).name for name in self.sample}
        for path in self._folder.glob("*.jpg"):
            if path.name not in wanted:
                path.unlink()

    def offer(self, name: str, confidence: float, prepared: Prepared, prediction: Prediction) -> None:
        """Keep a thumbnail of this image if it belongs to the sample, and drop the one that had its place."""
        dropped = self.sample.offer(name, confidence)
        if dropped == name:
            return
        view = next(iter(prepared.views.values()), None)  # decoded and small already
        pixels = read_image(prepared.source) if view is None else view
        if prediction.probabilities:
            pixels = draw_class(shrunk(pixels), prediction.probabilities, prediction.classes)
        dense = next(iter(prediction.dense.values()), None) if not prediction.classes.names else None
        self.path(name).write_bytes(thumbnail(pixels, prediction.labels, dense, prediction.keypoints))
        if dropped is not None:
            self.path(dropped).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Where the thumbnail of an image stands, if it has one."""
        return self._folder / f"{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}.jpg"
