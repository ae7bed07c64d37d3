"""Dense targets made of other labels: distances from masks, densities from points, edges from the image itself."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from likewise.functional.heatmaps import point_map

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def signed_distance(mask: NDArray[np.generic], limit: float | None = None) -> NDArray[np.float32]:
    """The distance (H, W) in pixels from each pixel's centre to the outline of a mask (H, W): above 0 inside, below outside.

    The outline lies between two pixels, so that pixels beside it are at 1/2. A mask without an outline is as far in or
    out as its longer side, or `limit`, which cuts all distances. ValueError for a mask that is not (H, W).

    >>> signed_distance(np.array([[0, 0, 1, 1]])).tolist()
    [[-1.5, -0.5, 0.5, 1.5]]
    """
    inside = np.asarray(mask) > 0
    if inside.ndim != 2:
        raise ValueError(f"a mask is (H, W), this one {inside.shape}")
    far = float(max(inside.shape))
    if inside.all() or not inside.any():
        signed = np.full(inside.shape, far if inside.all() else -far, np.float32)
    else:
        within, without = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (inside, ~inside))
        signed = np.where(inside, within - 0.5, 0.5 - without).astype(np.float32)
    return signed if limit is None else np.clip(signed, -limit, limit)


def density_map(points: Iterable[tuple[float, float]], size: tuple[int, int], spread: float) -> NDArray[np.float32]:
    """A density (H, W) whose sum is the number of points: a Gaussian of `spread` pixels and sum 1 for each (x, y).

    What would fall outside the image is put inside it, so that no part of a point at the border is lost.

    >>> round(float(density_map([(0.0, 3.0), (7.5, 2.0)], (6, 9), 2.0).sum()), 4)
    2.0
    """
    total = np.zeros(size, np.float64)
    for point in points:
        bump = point_map(point, size, size, spread).astype(np.float64)
        if bump.sum() > 0:
            total += bump / bump.sum()
        else:  # narrower than a pixel, between centres
            total[min(int(point[1]), size[0] - 1), min(int(point[0]), size[1] - 1)] += 1
    return total.astype(np.float32)


def texture_edges(image: NDArray[np.uint8], scale: float = 2.0, full: float = 0.1) -> NDArray[np.float32]:
    """How strong edges are (H, W), 0 to 1: the gradient of the brightness (H, W, 3) smoothed at `scale` pixels, times the scale.

    full: the product that counts as 1; brightness runs from 0 to 1.
    """
    grey = cv2.GaussianBlur(image.astype(np.float32) @ _GREY / 255, (0, 0), scale)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, dx, dy, scale=1 / 8) for dx, dy in ((1, 0), (0, 1)))
    return np.asarray(np.clip(scale * np.hypot(across, down) / full, 0, 1), np.float32)
