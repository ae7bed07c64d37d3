"""What a person's dense map must be, by the kind of its target, and in what form the program keeps it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likewise.data.target import DIRECTED, Target
from likewise.errors import InputError

_ROUNDING = 1e-4  # of the range, by which a value may lie outside: files of 8 or 16 bits and resized maps are not exact


def dense_values(value: object, where: str, size: tuple[int, int], target: Target) -> NDArray[np.float32]:
    """A dense map (H', W', C) float32 in the target's unit, NaN for unknown; InputError for what the kind does not allow.

    The map has the shape of its image of `size` (H, W), not always its number of pixels. Kept are unit vectors at length
    1 (those of length 0 are no direction, so unknown), and densities as counts a pixel of the image, so that the mean
    times the image's pixels is the count whatever size the map has.
    """
    array = _numbers(value, where)
    _check_shape(array, where, size)
    if target.invalid is not None:
        array = np.where((array == target.invalid).all(axis=2, keepdims=True), np.float32(np.nan), array)
    if np.isinf(array).any():
        raise InputError("the dense map has infinite values", where=where, remedy="Write NaN for unknown")
    if target.kind == "unit_vector":
        array = _directions(array, where)
    if not np.isfinite(array).all(axis=2).any():
        raise InputError("every value of the dense map is unknown", where=where, remedy="Leave the example out, or check the invalid value")
    _check_values(array, where, target)
    if target.kind == "density":
        array = array * np.float32(array.shape[0] * array.shape[1] / (size[0] * size[1]))
    return array


def _numbers(value: object, where: str) -> NDArray[np.float32]:
    array = np.asarray(value)
    if array.ndim not in (2, 3) or not array.size or not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_) or np.iscomplexobj(array):
        raise InputError(f"the dense map is {array.dtype} {array.shape}", where=where, remedy="Give numbers (H, W) or (H, W, C)")
    return array.astype(np.float32).reshape(*array.shape[:2], -1)


def _check_shape(array: NDArray[np.float32], where: str, size: tuple[int, int]) -> None:
    height, width = array.shape[:2]
    if abs(width * size[0] - height * size[1]) > 0.02 * width * size[0]:
        raise InputError(f"it is {width}x{height}, its image {size[1]}x{size[0]}", where=where, remedy="Give it the size or at least the shape of the image")


def _check_values(array: NDArray[np.float32], where: str, target: Target) -> None:
    """InputError for values that the kind of target cannot have."""
    kind, channels = target.kind, array.shape[2]
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    if kind in DIRECTED and channels < 2:
        raise InputError(f"a target of kind {kind!r} has one channel", where=where, remedy="Give (H, W, C) with x, y and, if there is one, z")
    if kind == "log" and low <= 0:
        raise InputError("a target of kind 'log' has values at or below 0", where=where, remedy='Use kind="real", or mark them as invalid')
    if kind == "density" and low < 0:
        raise InputError(f"a density has the value {low:.4g}", where=where, remedy="Give counts a pixel, none of them below 0")
    if kind in ("heatmap", "soft_mask"):
        least, most = target.limits
        slack = _ROUNDING * (most - least)
        if low < least - slack or high > most + slack:
            raise InputError(
                f"values of a {kind} run from {low:.4g} to {high:.4g}, not within {least:g} to {most:g}",
                where=where,
                remedy=f"Divide them, or declare what is full: Target(kind={kind!r}, range=(0, {max(high, 1):g}))",
            )


def _directions(array: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    """Vectors of length 1; NaN for those without a length."""
    if array.shape[2] < 2:
        raise InputError("a target of kind 'unit_vector' has one channel", where=where, remedy="Give (H, W, C) with x, y and, if there is one, z")
    length = np.sqrt((array.astype(np.float64) ** 2).sum(axis=2, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(length > 0, array / length, np.nan).astype(np.float32)
