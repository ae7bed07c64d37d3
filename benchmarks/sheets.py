"""Sheets of pictures for the pages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, GAP = 150, 4


def sheet(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> Image.Image:
    """Rows of pictures (H, W, 3) of one height on white."""
    small = [
        [Image.fromarray(pixels).resize((round(HEIGHT * pixels.shape[1] / pixels.shape[0]), HEIGHT), Image.Resampling.LANCZOS) for pixels in row]
        for row in rows
    ]
    width = max(sum(image.width + GAP for image in row) for row in small) - GAP
    found = Image.new("RGB", (width, (HEIGHT + GAP) * len(small) - GAP), "white")
    for place, row in enumerate(small):
        left = 0
        for image in row:
            found.paste(image, (left, place * (HEIGHT + GAP)))
            left += image.width + GAP
    return found
