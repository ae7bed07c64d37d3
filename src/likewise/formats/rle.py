"""COCO's run lengths: column by column, background first, as numbers or packed into a string (by pycocotools)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

_LONGEST_STRING = 1 << 26


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """{"size": [H, W], "counts": text} of a mask (H, W)."""
    packed = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode("ascii")}


def decode_mask(counts: str | Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) of run lengths; ValueError unless they add up to H * W exactly."""
    listed = _unpacked(counts) if isinstance(counts, str) else list(counts)
    height, width = size
    if min(listed, default=0) < 0:
        raise ValueError("a run length is below 0")
    if sum(listed) != height * width:
        raise ValueError(f"the run lengths add up to {sum(listed)}, the image has {width}x{height} = {height * width} pixels")
    runs = np.asarray(listed, np.int64)
    values = np.zeros(len(runs), bool)
    values[1::2] = True
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def polygon_mask(rings: Sequence[Sequence[float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) of polygons [x0, y0, x1, y1, ...] as pycocotools draws it; a polygon too thin to hold a pixel has none."""
    packed: Any = coco_mask.merge(coco_mask.frPyObjects(rings, *size))
    return decode_mask(packed["counts"].decode("ascii"), size)  # pycocotools' own decoder warns with NumPy 2


def _unpacked(text: str) -> list[int]:
    """The run lengths in COCO's string: 5 bits a character from 48 on, bit 6 for "goes on"; from the third on differences to the last but one.

    pycocotools reads beyond the end of a damaged string, so untrusted text is unpacked here.
    """
    if len(text) > _LONGEST_STRING:
        raise ValueError("the run lengths are too long")
    runs: list[int] = []
    place, value, shift = 0, 0, 0
    codes = text.encode("ascii", "replace")
    for code in codes:
        bits = code - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ValueError("the run lengths hold a character that they cannot")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[place - 2] if place > 2 else 0))
        place, value, shift = place + 1, 0, 0
    if shift:
        raise ValueError("the run lengths end in the middle of a number")
    return runs
