"""Altered copies of a picture, for learning: other light, contrast and colour, every second one mirrored.

A method that sees a few examples sees each under one light only; asking for copies shows it what must not matter.
The list is fixed, so that the same wish gives the same numbers always.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """One way to alter a picture; the defaults change nothing.

    Of a value v in 0..1: v ** gamma, its distance to 1/2 times `contrast`, all times `gain`, red, green and blue times
    their `cast`; mirrored: left and right change places.
    """

    gain: float = 1.0
    contrast: float = 1.0
    gamma: float = 1.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mirrored: bool = False

    def table(self) -> NDArray[np.uint8]:
        """What becomes of each of the 256 values of each channel: (256, 3)."""
        values = (np.arange(256) / 255) ** self.gamma
        values = self.gain * (self.contrast * (values - 0.5) + 0.5)
        return np.rint(255 * np.clip(values[:, None] * np.array(self.cast), 0, 1)).astype(np.uint8)


# copy k is entry k - 1; amounts as exposure, haze and the colour of daylight and lamps vary within one series of photographs
ALTERATIONS = (
    Alteration(mirrored=True, gain=0.75, cast=(1.08, 1.0, 0.9)),  # darker and warm
    Alteration(gain=1.2, contrast=0.75, cast=(0.92, 1.0, 1.08)),  # brighter, hazy and cool
    Alteration(mirrored=True, gamma=1.35),  # shadows deepened
    Alteration(gamma=0.75, cast=(0.97, 1.05, 0.97)),  # shadows lifted, a touch of green
)


def alteration(copy: int) -> Alteration:
    """The alteration of a copy; of copy 0, which is the picture itself, the one that changes nothing. ValueError beyond the list."""
    if not 0 <= copy <= len(ALTERATIONS):
        raise ValueError(f"there is no copy {copy}, only 0 to {len(ALTERATIONS)}")
    return ALTERATIONS[copy - 1] if copy else Alteration()


def toned(pixels: NDArray[np.uint8], copy: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) in the light and colours of a copy, not mirrored; copy 0 returns it as it is."""
    if copy == 0:
        return pixels
    return np.asarray(cv2.LUT(pixels, alteration(copy).table()[None]), np.uint8)


def altered(pixels: NDArray[np.uint8], copy: int) -> NDArray[np.uint8]:
    """A copy of a picture (H, W, 3), mirrored where its alteration says so; copy 0 returns the picture as it is."""
    changed = toned(pixels, copy)
    return np.ascontiguousarray(changed[:, ::-1]) if alteration(copy).mirrored else changed


def placed_back(tokens: Tensor, grid: tuple[int, int], copy: int) -> Tensor:
    """Patch tokens (X, P, D) of a copy in the places that they have in the picture itself; grid (h, w) with P = h*w."""
    if not alteration(copy).mirrored:
        return tokens
    return tokens.reshape(len(tokens), *grid, -1).flip(2).flatten(1, 2)
