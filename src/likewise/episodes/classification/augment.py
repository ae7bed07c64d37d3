"""Altered pictures for training, as Chen et al. 2019 alter them: a part of the picture, its light and colour, and its mirror image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of the part: shares of the picture, width by height
TRIES = 10  # to find a part that lies within
STRENGTH = 0.4  # how far brightness, contrast and colour go from 1


def altered_picture(pixels: NDArray[np.uint8], side: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """A part (side, side, 3) of a picture (H, W, 3), its brightness, contrast and colour changed, mirrored every second time."""
    left, top, width, height = _part(pixels.shape[0], pixels.shape[1], random)
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
    factors = STRENGTH * (2 * random.random(3) - 1) + 1
    for enhancer, factor in zip((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True):
        image = enhancer(image).enhance(float(factor))
    found = np.asarray(image)
    return np.ascontiguousarray(found[:, ::-1] if random.random() < 0.5 else found)


def _part(height: int, width: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, width and height of a part of random area and shape; the largest middle square where none was found to lie within."""
    for _ in range(TRIES):
        area = random.uniform(*AREA) * height * width
        ratio = float(np.exp(random.uniform(*np.log(RATIO))))
        wide, high = round(float(np.sqrt(area * ratio))), round(float(np.sqrt(area / ratio)))
        if 0 < wide <= width and 0 < high <= height:
            return int(random.integers(width - wide + 1)), int(random.integers(height - high + 1)), wide, high
    square = min(height, width)
    return (width - square) // 2, (height - square) // 2, square, square
