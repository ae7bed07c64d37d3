"""Arrays that follow from a name and a seed, so that golden files need not carry weights.

A number depends on SHA-256 of "<seed>:<name>" and on the raw output of NumPy's Philox generator, which NumPy keeps
stable between versions. Everything is uniform: no normal sampler is involved.
"""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAVES = 6  # plane waves a channel of a seeded image


def uniform(name: str, shape: Sequence[int], seed: int, low: float = -1.0, high: float = 1.0) -> NDArray[np.float32]:
    """A float32 array of `shape` with numbers in [low, high)."""
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16]
    bits = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(max(1, math.prod(shape)))
    unit = (bits >> np.uint64(11)) * 2.0**-53  # the upper 53 bits, as a double in [0, 1)
    scaled = low + (high - low) * unit[: math.prod(shape)]
    return scaled.astype(np.float32).reshape(tuple(shape))


def image(name: str, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A smooth RGB image (height, width, 3): six plane waves a channel, so that resizing is well behaved."""
    waves = uniform(f"{name}.waves", (3, WAVES, 4), seed).astype(np.float64)
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    pixels = np.zeros((height, width, 3))
    for channel in range(3):
        for amplitude, down, right, phase in waves[channel]:
            # in this order of operations the last bit agrees, and with it every rounding below
            pixels[..., channel] += amplitude * np.sin(2 * np.pi * (3 * down * rows / height + 3 * right * columns / width + phase))
    return np.clip(np.rint(127.5 + 55 * pixels), 0, 255).astype(np.uint8)


def weight(name: str, shape: Sequence[int], seed: int, gain: float = 1.0) -> NDArray[Any]:
    """The array of one tensor of a state dict, in the range that its name and shape ask for.

    Counters are zero (int64); running variances and single numbers lie in [0.5, 1.5), running means and biases in
    [-0.1, 0.1), scales of normalisations in [0.8, 1.2); all others have standard deviation gain / sqrt(fan in).
    """
    if name.endswith("num_batches_tracked"):
        return np.zeros(tuple(shape), np.int64)
    if name.endswith("running_var") or not shape:
        return uniform(name, shape, seed, 0.5, 1.5)
    if name.endswith("running_mean"):
        return uniform(name, shape, seed, -0.1, 0.1)
    if len(shape) == 1:
        return uniform(name, shape, seed, 0.8, 1.2) if name.endswith(("weight", "gamma")) else uniform(name, shape, seed, -0.1, 0.1)
    bound = gain * math.sqrt(3.0 / max(1, math.prod(shape[1:])))
    return uniform(name, shape, seed, -bound, bound)


def state_dict(
    layout: Iterable[tuple[str, Sequence[int]]], seed: int, gain: float = 1.0, overrides: Mapping[str, float] | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays of a layout by name, each times every factor of `overrides` whose shell-style pattern fits its full name."""
    arrays = {}
    for name, shape in layout:
        array = weight(name, shape, seed, gain)
        for pattern, factor in (overrides or {}).items():
            if fnmatch.fnmatchcase(name, pattern):
                array = (array * np.float32(factor)).astype(array.dtype)
        arrays[name] = array
    return arrays
