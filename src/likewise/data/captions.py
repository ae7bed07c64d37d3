"""A class written on a picture, for overlays, thumbnails and reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SMALLEST, SHARE = 11, 14  # of a letter in pixels, and how many of them make the shorter side of a picture
LONGEST = 40  # characters; longer names end in dots


def captioned(pixels: NDArray[np.uint8], text: str, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with a line of text on a dark strip along its foot and a mark in a colour beside it.

    A picture that is too small for letters is framed in the colour instead, one pixel wide.
    """
    height, width = pixels.shape[:2]
    drawn = Image.fromarray(np.ascontiguousarray(pixels))
    pen = ImageDraw.Draw(drawn)
    letter = max(SMALLEST, min(height, width) // SHARE)
    if height < 3 * letter or width < 3 * letter:
        pen.rectangle((0, 0, width - 1, height - 1), outline=colour)
        return np.asarray(drawn)
    top, mark = height - letter - letter // 2, letter // 2
    pen.rectangle((0, top, width, height), fill=(16, 16, 16))
    pen.rectangle((0, top, mark, height), fill=colour)
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "\u2026"
    pen.text((mark + letter // 3, top + letter // 8), shown, fill=(255, 255, 255), font=ImageFont.load_default(letter))
    return np.asarray(drawn)
