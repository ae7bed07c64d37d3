"""Dense maps in OpenEXR, as renderers and simulators write depth and normals; read by the package OpenEXR, an extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data.images import MAX_PIXELS
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
            low, high = file.header()["dataWindow"]
        width, height = (int(last) - int(first) + 1 for first, last in zip(low, high, strict=True))
    except Exception as error:  # a RuntimeError for most, others for damaged headers
        raise InputError(f"it is not OpenEXR that can be read ({error})", where=str(path), remedy="Save it again, or as .npy") from error
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise InputError(f"{width}x{height} pixels are none, or more than {MAX_PIXELS:,}", where=str(path), remedy="Cut it into tiles")
    try:
        with OpenEXR.File(str(path)) as file:
            parts, channels = len(file.parts), {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:
        raise InputError(f"it is damaged ({error})", where=str(path), remedy="Save it again, or as .npy") from error
    names = next((names for names in _VECTORS if set(names) == set(channels)), tuple(channels))
    if parts > 1 or (len(channels) > 1 and names not in _VECTORS):
        told = f"it has {parts} parts" if parts > 1 else f"it has the channels {', '.join(sorted(channels))}"
        raise InputError(told, where=str(path), remedy="Save the one that is meant: one channel, R, G, B or X, Y, Z")
    values = channels[names[0]] if len(names) == 1 else np.stack([channels[name] for name in names], axis=2)
    return values[:, :, :3] if values.ndim == 3 else values
