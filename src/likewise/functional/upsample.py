"""From a small map of logits to labels and values at the size of the image, a class at a time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatMap = NDArray[np.float32]


def enlarge(plane: FloatMap, size: tuple[int, int], *, corners: bool = False) -> FloatMap:
    """A (h, w) map at (H, W), bilinear with half-pixel centres, or with the corner samples on each other."""
    if plane.shape == size:
        return plane
    if corners:
        import torch

        from likewise.functional.resize import resize_corners

        return np.asarray(resize_corners(torch.from_numpy(np.ascontiguousarray(plane)), size).numpy())
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def argmax_enlarged(logits: FloatMap, size: tuple[int, int], numbers: NDArray[np.integer], *, corners: bool = False) -> NDArray[np.integer]:
    """The label of each pixel: numbers[arg-max over classes of the enlarged logits], (C, h, w) -> (H, W).

    Classes are enlarged one by one against a running maximum, so memory does not grow with their number. Those that
    cannot win anywhere are never enlarged: an enlarged value lies between the four around it, so a class whose
    largest of four is below some class's smallest of four loses there. Ties go to the first class.
    """
    best: FloatMap | None = None
    labels = np.full(size, numbers[0], numbers.dtype)
    for index in can_win(logits):
        enlarged = enlarge(np.ascontiguousarray(logits[index]), size, corners=corners)
        if best is None:
            best, labels[:] = enlarged.copy(), numbers[index]
            continue
        wins = enlarged > best
        labels[wins] = numbers[index]
        np.maximum(best, enlarged, out=best)
    return labels


def can_win(logits: FloatMap) -> list[int]:
    """Indices of the classes that may be the arg-max somewhere after bilinear enlargement, in order."""
    padded = np.pad(logits, ((0, 0), (1, 1), (1, 1)), mode="edge")
    corners = (padded[:, :-1, :-1], padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, 1:, 1:])
    highest = np.maximum.reduce(corners)
    bound = np.minimum.reduce(corners).max(axis=0)
    return [int(index) for index in np.flatnonzero((highest >= bound).any(axis=(1, 2)))]


def softmax_enlarged(logits: FloatMap, size: tuple[int, int], *, corners: bool = False) -> FloatMap:
    """Probabilities (C, H, W) of the enlarged logits (C, h, w)."""
    enlarged = np.stack([enlarge(np.ascontiguousarray(plane), size, corners=corners) for plane in logits])
    enlarged -= enlarged.max(axis=0, keepdims=True)
    np.exp(enlarged, out=enlarged)
    enlarged /= enlarged.sum(axis=0, keepdims=True)
    return np.asarray(enlarged, np.float32)
