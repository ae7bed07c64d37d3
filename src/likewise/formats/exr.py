"""Dense maps in OpenEXR, as renderers and simulators write depth and normals; read by the package OpenEXR, an extra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data.limits import check_pixels
from likewise.errors import InputError, MissingExtraError

_VECTORS = (("RGB",), ("RGBA",), ("X", "Y", "Z"), ("N.X", "N.Y", "N.Z"))


def exr_array(path: Path) -> NDArray[np.generic]:
    """The one channel (H, W) of a file, or three (H, W, 3) that are red, green and blue or x, y and z.

    MissingExtraError without the package; InputError for other channels, for several parts, and for what cannot be read.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingExtraError("reading OpenEXR needs the package OpenEXR", where=str(path), remedy="Type `pip install 'likewise[exr]'`") from error
    try:
        with OpenEXR.File(str(path), header_only=True) as file:
            parts = [(_size(part.header["dataWindow"]), len(part.header["channels"])) for part in file.parts]
    except Exception as error:  # a RuntimeError for most, others for damaged headers
        raise InputError(f"it is not OpenEXR that can be read ({error})", where=str(path), remedy="Save it again, or as .npy") from error
    total = sum(height * width * channels for (height, width), channels in parts)
    for size, _ in parts:
        if min(size) < 1:
            raise InputError(f"{size[1]}x{size[0]} pixels are none", where=str(path), remedy="Save it again")
        check_pixels(size, path, values=total)
    try:
        with OpenEXR.File(str(path)) as file:
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:
        raise InputError(f"it is damaged ({error})", where=str(path), remedy="Save it again, or as .npy") from error
    names = next((names for names in _VECTORS if set(names) == set(channels)), tuple(channels))
    if len(parts) > 1 or (len(channels) > 1 and names not in _VECTORS):
        told = f"it has {len(parts)} parts" if len(parts) > 1 else f"it has the channels {', '.join(sorted(channels))}"
        raise InputError(told, where=str(path), remedy="Save the one that is meant: one channel, R, G, B or X, Y, Z")
    values = channels[names[0]] if len(names) == 1 else np.stack([channels[name] for name in names], axis=2)
    return values[:, :, :3] if values.ndim == 3 else values


def _size(window: tuple[Sequence[int], Sequence[int]]) -> tuple[int, int]:
    """(height, width) of a data window, whose corners (x, y) both count."""
    (left, top), (right, bottom) = window
    return int(bottom) - int(top) + 1, int(right) - int(left) + 1
