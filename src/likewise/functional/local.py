"""A bank of local features: what a pixel and its close surroundings look like, at several scales.

What a patch grid cannot see - lines of one pixel, the rim of a cell, the grain of a surface - is in these numbers. All are
taken after the picture's brightness was brought to mean 0 and deviation 1, so that they change little with the light.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatMap = NDArray[np.float32]

SCALES = (1.0, 2.0, 4.0)  # pixels; 8 and more is what the tokens see
_SURROUNDINGS = 16.0  # the scale of the surroundings that brightness is compared with
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
FEATURES = 7 + 5 * len(SCALES)


def local_bank(picture: FloatMap) -> FloatMap:
    """Local features (h, w, FEATURES) of a picture (h, w, 3) in 0..1.

    Colour, colour smoothed, brightness against the surroundings; then for each scale: length of the gradient, the two
    eigenvalues of the Hessian (ridges and blobs, bright and dark), brightness against the surroundings, deviation.
    """
    grey = picture @ _GREY
    centre, spread = float(grey.mean()), float(grey.std()) + 1e-3
    colour = (picture - centre) / spread
    bright = np.ascontiguousarray((grey - centre) / spread)
    around = _blurred(bright, _SURROUNDINGS)
    planes = [*np.moveaxis(colour, 2, 0), *np.moveaxis(_blurred(np.ascontiguousarray(colour), 3.0), 2, 0), bright - around]
    square = bright * bright
    for scale in SCALES:
        smooth = _blurred(bright, scale)
        slope, high, low = _derivatives(smooth, scale)
        variance = _blurred(square, 2 * scale) - _blurred(bright, 2 * scale) ** 2
        planes += [slope, high, low, smooth - around, np.sqrt(np.maximum(variance, 0))]
    return np.stack(planes, axis=-1).astype(np.float32, copy=False)


def _blurred(plane: FloatMap, scale: float) -> FloatMap:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), scale))


def _derivatives(smooth: FloatMap, scale: float) -> tuple[FloatMap, FloatMap, FloatMap]:
    """Length of the gradient and both eigenvalues of the Hessian, times the scale's powers that make scales alike."""
    gx, gy = _sobel(smooth, 1, 0), _sobel(smooth, 0, 1)
    xx, xy, yy = _sobel(gx, 1, 0), _sobel(gx, 0, 1), _sobel(gy, 0, 1)
    middle, apart = (xx + yy) * np.float32(0.5), np.hypot((xx - yy) * np.float32(0.5), xy)
    first, second = np.float32(2 * scale), np.float32(2 * scale**2)
    return first * np.hypot(gx, gy), second * (middle + apart), second * (middle - apart)


def _sobel(plane: FloatMap, dx: int, dy: int) -> FloatMap:
    return np.asarray(cv2.Sobel(plane, cv2.CV_32F, dx, dy, scale=1 / 8))


def relit(pictures: Tensor, generator: torch.Generator, amount: float = 1.0) -> Tensor:
    """Pictures (B, 3, h, w) in 0..1 under another light each: gamma, colour cast, gain and offset, drawn at random."""

    def drawn(channels: int, spread: float) -> Tensor:
        return amount * spread * torch.randn(len(pictures), channels, 1, 1, generator=generator)

    bent = pictures.clamp(1e-4, 1) ** torch.exp(drawn(1, 0.2))
    return (bent * torch.exp(drawn(3, 0.13) + drawn(1, 0.2)) + drawn(1, 0.08)).clamp(0, 1)
