"""How many pixels a file may say that it has: asked of its header, before anything of it is decoded.

One limit holds for images, masks and dense maps of every kind; a command may set another (`--max-pixels`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from likewise.errors import InputError, UsageError

MAX_PIXELS = 200_000_000
MOST_VALUES = 8  # times the limit of pixels: what a file may hold in all its channels, and what the objects of one image may cover
_LONGEST = 1 << 31
REMEDY = "Cut it into tiles, or raise the limit with --max-pixels"

_limit: ContextVar[int] = ContextVar("pixels", default=MAX_PIXELS)


def pixel_limit() -> int:
    """The pixels that an image, mask or dense map may have."""
    return _limit.get()


def set_pixel_limit(pixels: int) -> None:
    """Set the limit for the rest of this context (a thread, or what runs in a copied context). UsageError for less than a pixel."""
    if pixels < 1:
        raise UsageError(f"the limit is {pixels} pixels", where="--max-pixels", remedy="Give a number from 1")
    _limit.set(pixels)


@contextmanager
def limited_pixels(pixels: int) -> Iterator[None]:
    """The limit while something runs.

    >>> with limited_pixels(100):
    ...     pixel_limit()
    100
    >>> pixel_limit() == MAX_PIXELS
    True
    """
    before = _limit.set(_limit.get())
    try:
        set_pixel_limit(pixels)
        yield
    finally:
        _limit.reset(before)


def check_pixels(size: tuple[int, int], where: Path | str, values: int = 0, kind: type[InputError] = InputError) -> None:
    """InputError (or a kind of it) for an image of `size` (H, W) beyond the limit, or with more than eight values a pixel of the limit in all.

    values: how many numbers it holds in all its channels and pages, 0 for one a pixel.
    """
    limit, (height, width) = pixel_limit(), size
    if max(height, width) > _LONGEST:
        raise kind(f"a side of more than {_LONGEST:,} pixels is no size of an image", where=str(where), remedy=REMEDY)
    if height * width > limit:
        raise kind(f"{width}x{height} pixels are more than {limit:,}", where=str(where), remedy=REMEDY)
    if values > MOST_VALUES * limit:
        raise kind(f"{width}x{height} pixels with {values:,} values in all are more than {MOST_VALUES} x {limit:,}", where=str(where), remedy=REMEDY)


class Covered:
    """Counts the pixels that the objects of one image take, so that a small file cannot ask for the memory of thousands of large ones."""

    def __init__(self, where: str = "") -> None:
        self._where, self._pixels = where, 0

    def add(self, pixels: int) -> None:
        """Count some more. InputError beyond eight times the limit of an image."""
        self._pixels += pixels
        if self._pixels > MOST_VALUES * pixel_limit():
            told = f"its objects or masks take more than {MOST_VALUES} x {pixel_limit():,} pixels together"
            raise InputError(told, where=self._where, remedy="Leave out objects, or cut the image into tiles")
