"""Overlays: the image with its answer drawn over it, as a JPEG beside the labels."""

from __future__ import annotations

import io

from likewise.data import Prediction

ENDING = ".overlay.jpg"
QUALITY = 85


def encode(prediction: Prediction) -> bytes:
    """The overlay of a prediction as a JPEG."""
    stream = io.BytesIO()
    prediction.overlay().save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
