"""Outlines of masks drawn to the edges of the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIDE = 400  # longer side at which outlines are looked for
REACH = 0.04  # of the longer side: how far an outline may move, about a patch; of 0.02 and 0.06 neither was better on five sets
LEAST = 20  # pixels of a mask, and of what is not it, below which nothing can be told
_ROUNDS = 3
_KEPT = 0.5  # of the depth of a part that is thinner than the reach


def snapped(picture: NDArray[np.uint8], labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Labels (H, W), 0 the background, whose outlines are moved to the edges of a picture (H, W, 3) where there are any within reach.

    Each label against all else by colour and edges (GrabCut, Rother et al. 2004): what lies deep inside stays, and what lies beyond the
    reach is left alone, so that nothing new is found. What a label loses becomes background, what it gains is taken from the background alone.
    """
    found = labels.copy()
    height, width = labels.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1], dtype=np.uint8)
    shown = cv2.resize(labels.astype(np.int16), size, interpolation=cv2.INTER_NEAREST)
    for label in np.unique(labels[labels > 0]).tolist():
        cut = _cut(small, shown == label)
        if cut is not None:
            large = cv2.resize(cut.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
            found[(found == label) & ~large] = 0
            found[(found == 0) & large] = label
    return found


def _cut(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """A mask (h, w) by colour and edges; None where there is too little of it, or of anything else."""
    if min(mask.sum(), (~mask).sum()) < LEAST:
        return None
    reach = REACH * max(mask.shape)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    parts, count = ndimage.label(mask)
    deepest = np.asarray(ndimage.maximum(depth, parts, range(count + 1)))[parts]
    said = np.full(mask.shape, cv2.GC_BGD, np.uint8)
    said[ndimage.distance_transform_edt(~mask) <= reach] = cv2.GC_PR_BGD
    said[mask] = cv2.GC_PR_FGD
    said[mask & (depth >= np.minimum(reach, _KEPT * deepest))] = cv2.GC_FGD
    if not (said == cv2.GC_BGD).any():
        return None
    cv2.setRNGSeed(0)  # GrabCut begins with k-means
    cv2.grabCut(picture, said, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((said == cv2.GC_FGD) | (said == cv2.GC_PR_FGD))
