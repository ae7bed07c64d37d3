"""What the writers share: packing a grey PNG, and the class numbers that a label map holds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable


def grey_png(values: NDArray[np.generic]) -> bytes:
    """A grey PNG of 8 or 16 bits, packed fast."""
    done, packed = cv2.imencode(".png", np.ascontiguousarray(values), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise AssertionError("OpenCV refused to write a grey PNG")
    return bytes(packed.tobytes())


def numbers_in(labels: NDArray[np.integer], classes: ClassTable) -> list[int]:
    """The class numbers that occur in a label map (H, W), in order; counting is three times as fast as sorting."""
    counts = np.bincount(labels[labels > 0].astype(np.int64), minlength=1)
    return [number for number in np.flatnonzero(counts).tolist() if number in classes]
