"""Label Studio's run lengths of brush strokes: bits, packed into bytes.

32 bits: how many values; 5 bits: bits a value, less 1; four times 4 bits: bits of a run's length, less 1, by kind. Then blocks: a bit for
"all the same", 2 bits for the kind of length, the length less 1, and one value or as many as the length says. The values are those of an RGBA
image of which the mask is the alpha channel (as the package rle-pack has them, which Label Studio's page uses).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_CHANNELS = 4
_WORD, _SIZES = 8, (3, 4, 8, 16)  # bits of a value and of lengths, as Label Studio writes them


def decode_brush(packed: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) of bytes. ValueError for what is no such image of this size."""
    if not all(isinstance(byte, int) and 0 <= byte < 256 for byte in packed):
        raise ValueError("the run lengths are no bytes")
    bits = np.unpackbits(np.frombuffer(bytes(packed), np.uint8))
    reader = _Bits(bits)
    count, expected = reader.number(32), size[0] * size[1] * _CHANNELS
    if count != expected:
        raise ValueError(f"the run lengths hold {count} values, the image has {size[1]}x{size[0]}x{_CHANNELS} = {expected}")
    word = reader.number(5) + 1
    lengths = [reader.number(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    at = 0
    while at < count:
        same = reader.number(1)
        end = at + 1 + reader.number(lengths[reader.number(2)])
        if end > count:
            raise ValueError("a run goes on beyond the image")
        values[at:end] = reader.number(word) > 0 if same else reader.numbers(end - at, word) > 0
        at = end
    return np.asarray(values.reshape(*size, _CHANNELS)[:, :, 3] > 0)


class _Bits:
    """Numbers out of bits (N,) uint8, one after the other; ValueError at the end."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bits, self._at = bits, 0

    def number(self, width: int) -> int:
        return int(self.numbers(1, width)[0])

    def numbers(self, count: int, width: int) -> NDArray[np.int64]:
        end = self._at + count * width
        if end > len(self._bits):
            raise ValueError("the run lengths end early")
        read = self._bits[self._at : end].reshape(count, width).astype(np.int64)
        self._at = end
        return np.asarray(read @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64)))


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """The bytes of a mask (H, W), every block a run of equal values."""
    flat = np.concatenate([[~mask.flat[0]], mask.ravel()])
    starts = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.append(starts[1:], mask.size)
    blocks = [f"{mask.size * _CHANNELS:032b}{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        blocks += _run((end - start) * _CHANNELS, 255 if mask.flat[start] else 0)
    bits = "".join(blocks)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _run(length: int, value: int) -> list[str]:
    """A run as blocks of the longest kind, the rest in the shortest that holds it."""
    longest = 1 << _SIZES[-1]
    whole, rest = divmod(length, longest)
    blocks = [f"111{longest - 1:0{_SIZES[-1]}b}{value:08b}"] * whole
    if rest:
        kind = next(kind for kind, size in enumerate(_SIZES) if rest <= 1 << size)
        blocks.append(f"1{kind:02b}{rest - 1:0{_SIZES[kind]}b}{value:08b}")
    return blocks
