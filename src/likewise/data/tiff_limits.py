"""What a TIFF would take to decode, found without decoding it.

tifffile believes what the tags say, makes room for it, and unpacks each segment (strip or tile) whole, whatever comes out. So
sizes are compared with the limit first, and packed segments are unpacked once into nothing to see that they hold what they say.
"""

from __future__ import annotations

import lzma
import math
import zlib
from typing import Any, Protocol

from likewise.data.limits import MOST_VALUES, check_pixels, pixel_limit
from likewise.errors import InputError

_DEFLATE, _LZMA = (8, 32_946), (34_925,)  # of the packings that tifffile reads by itself, those by which a little unfolds to much
_STEP = 1 << 20  # bytes unpacked at a time
_SLACK = 1 << 16  # bytes that a segment may hold beyond what it needs: padding of some writers


class _Unpacking(Protocol):
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def check_page(page: Any, where: str, kind: type[InputError] = InputError) -> None:
    """InputError (or a kind of it) for a page of a TIFF (tifffile's TiffPage) that is beyond the limit, or unfolds to more than it says."""
    size = (int(page.imagelength), int(page.imagewidth))
    check_pixels(size, where, values=math.prod(int(side) for side in page.shape), kind=kind)
    segment = math.prod(int(side) for side in page.chunks)
    if segment > MOST_VALUES * pixel_limit():
        raise kind(f"its tiles of {segment:,} values are more than {MOST_VALUES} x {pixel_limit():,}", where=where, remedy="Save it again with smaller tiles")
    if page.compression in (*_DEFLATE, *_LZMA) and _unfolds(page, segment * max(1, page.dtype.itemsize) + _SLACK):
        raise kind("it unfolds to more than its size says", where=where, remedy="Check where the file is from, and save it again")


def _unfolds(page: Any, most: int) -> bool:
    """Whether a segment of a page holds more than so many bytes; damaged ones are left to the decoder."""
    stream = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        stream.seek(offset)
        if _longer(stream.read(count), most, packed_by_lzma=page.compression in _LZMA):
            return True
    return False


def _longer(packed: bytes, most: int, *, packed_by_lzma: bool) -> bool:
    if packed_by_lzma:
        return _longer_than(lzma.LZMADecompressor(memlimit=1 << 30), packed, most)
    return _longer_than(_Inflating(), packed, most)


def _longer_than(unpacking: _Unpacking, packed: bytes, most: int) -> bool:
    total, given = 0, packed
    try:
        while total <= most:
            part = unpacking.decompress(given, _STEP)
            total, given = total + len(part), b""
            if not part:
                return False
    except (zlib.error, lzma.LZMAError, EOFError):
        return False
    return True


class _Inflating:
    """zlib's decompressor with the memory of lzma's: what was not used yet need not be given again."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
