"""Pictures with more channels than three, or deeper ones: which channels are shown as red, green and blue.

A channel is a page of a stacked TIFF, a band of a multi-channel one, or a plane of either. 8-bit channels are shown as they are; of
deeper ones the 2nd to 98th percentile of the picture becomes 0 to 255, channel by channel, values that mean "no data" left out.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.data.limits import check_pixels
from likewise.data.tiff_limits import check_page
from likewise.errors import ImageError, UsageError

LOW, HIGH = 2.0, 98.0  # percentiles, as remote sensing shows its pictures
_NO_DATA = 42_113  # GDAL's tag


@dataclass(frozen=True)
class Channels:
    """One channel to show as grey, or three as red, green and blue, counted from 1.

    >>> Channels.parse("4,3,2")
    Channels(numbers=(4, 3, 2))
    """

    numbers: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Channels:
        """Channels written as "4,3,2" or "1". UsageError for anything else."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) not in (1, 3) or not all(part.isascii() and part.isdigit() and 0 < int(part) < 10_000 for part in parts):
            raise UsageError(f"{text!r} names no channels", where="--channels", remedy="Give one number or three, counted from 1, such as 4,3,2")
        return cls(tuple(int(part) for part in parts))


@dataclass(frozen=True)
class ChannelImage(os.PathLike[str]):
    """The path of a picture of which some channels are to be shown."""

    path: str
    channels: Channels

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path


def channel_size(path: str) -> tuple[int, int]:
    """The (height, width) of a TIFF by its header. ImageError for what is none, and beyond the limit."""
    axes, shape, _, _ = _layout(path)
    return shape[axes.index("Y")], shape[axes.index("X")]


def read_channels(image: ChannelImage) -> NDArray[np.uint8]:
    """The chosen channels (H, W, 3) uint8 of a TIFF. ImageError for channels that are not there and for what cannot be read."""
    axes, shape, stack, no_data = _layout(image.path)
    count = 1 if stack is None else shape[axes.index(stack)]
    beyond = [number for number in image.channels.numbers if number > count]
    if beyond:
        raise ImageError(f"there is no channel {beyond[0]}, it has {count}", where=image.path, remedy="Choose others with --channels")
    values = _values(image.path)
    plane = values.reshape(shape) if stack is None else np.moveaxis(values, axes.index(stack), 0)
    shown = [_shown(plane if stack is None else plane[number - 1], no_data) for number in image.channels.numbers]
    return np.ascontiguousarray(np.stack(shown if len(shown) == 3 else shown * 3, axis=2))


def _layout(path: str) -> tuple[str, tuple[int, ...], str | None, float | None]:
    """Axes and shape of a TIFF, which axis counts its channels (None for one channel), and the value for "no data"."""
    import tifffile  # half a second at start-up otherwise

    try:
        with tifffile.TiffFile(path, _multifile=False) as file:  # an OME-TIFF may name other files
            series, tags = file.series[0], file.pages.first.tags
            axes, shape = series.axes, tuple(int(side) for side in series.shape)
            no_data = float(str(tags[_NO_DATA].value).strip("\0 ")) if _NO_DATA in tags else None
    except Exception as error:  # tifffile raises many kinds for damaged files
        raise ImageError(f"it is not a TIFF that can be read ({error})", where=path, remedy="Channels are chosen of TIFF alone; save it again") from error
    others = [axis for axis in axes if axis not in "YX"]
    if len(others) > 1 or {"Y", "X"} - set(axes):
        raise ImageError(f"its values have the axes {axes}", where=path, remedy="Save it as pages, or as bands, of one size")
    height, width = shape[axes.index("Y")], shape[axes.index("X")]
    check_pixels((height, width), path, values=math.prod(shape), kind=ImageError)
    return axes, shape, others[0] if others else None, no_data


def _values(path: str) -> NDArray[np.generic]:
    import tifffile

    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            for page in file.series[0].pages:
                if page is not None:
                    check_page(page.aspage(), path, ImageError)
            return np.asarray(file.series[0].asarray())
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"the image is damaged ({error})", where=path, remedy="Open and save it again, or take it out of the folder") from error


def _shown(plane: NDArray[np.generic], no_data: float | None) -> NDArray[np.uint8]:
    """A channel (H, W) in 8 bits; values that are not finite, or mean "no data", become 0."""
    if plane.dtype == np.uint8:
        return np.asarray(plane, np.uint8)
    values = plane.astype(np.float64)
    known = np.isfinite(values) if no_data is None else np.isfinite(values) & (values != no_data)
    if not known.any():
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(values[known], [LOW, HIGH])
    unit = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0, 1)
    return np.where(known, np.rint(unit * 255), 0).astype(np.uint8)
