"""Gaussian features of pixels, which need no weights: the filters that ilastik offers, at its scales (Berg et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Plane = NDArray[np.floating[Any]]

SIGMAS = (0.7, 1.0, 1.6, 3.5, 5.0, 10.0)  # pixels; ilastik's, without the smoothing at 0.3
FILTERS = 8  # maps a channel and sigma
_FINER, _INNER = 0.66, 0.5  # of the second Gaussian of a difference; of the derivatives under a structure tensor: both ilastik's


def filter_bank(picture: Plane, sigmas: Sequence[float] = SIGMAS) -> Plane:
    """Features (F, H, W) of a picture's channels (C, H, W), F = 8 for each channel and sigma, sigmas outermost.

    In order: smoothed, Laplacian of Gaussian, length of the gradient, difference of Gaussians, both eigenvalues of the structure tensor, both of the Hessian.
    """
    return np.stack([plane for sigma in sigmas for channel in picture for plane in _filters(channel, sigma)])


def _filters(channel: Plane, sigma: float) -> list[Plane]:
    smooth, down, across = (gaussian_filter(channel, sigma, order=order) for order in ((0, 0), (1, 0), (0, 1)))
    twice_down, twice_across, mixed = (gaussian_filter(channel, sigma, order=order) for order in ((2, 0), (0, 2), (1, 1)))
    return [
        smooth,
        twice_down + twice_across,
        np.hypot(down, across),
        smooth - gaussian_filter(channel, _FINER * sigma),
        *_eigenvalues(*_structure(channel, sigma)),
        *_eigenvalues(twice_down, twice_across, mixed),
    ]


def _structure(channel: Plane, sigma: float) -> list[Plane]:
    """The structure tensor: products of derivatives, averaged over a Gaussian of sigma."""
    down, across = (gaussian_filter(channel, _INNER * sigma, order=order) for order in ((1, 0), (0, 1)))
    return [gaussian_filter(product, sigma) for product in (down * down, across * across, down * across)]


def _eigenvalues(first: Plane, second: Plane, beside: Plane) -> tuple[Plane, Plane]:
    """The larger and the smaller eigenvalue of symmetric 2 x 2 matrices, given their diagonal and what is beside it."""
    middle, apart = (first + second) / 2, np.hypot((first - second) / 2, beside)
    return middle + apart, middle - apart
