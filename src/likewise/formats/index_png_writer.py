"""Writing index PNG: one palette PNG an image, of 16 bits with more than 254 classes; objects that are told apart in a second one."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.classes import palette
from likewise.formats.encoder import Encoder, write_classes
from likewise.formats.index_png import INSTANCES
from likewise.formats.pixels import grey_png
from likewise.formats.sheet import Sheet

_RUN_LENGTHS = 3  # zlib's Z_RLE: label maps are runs, and 0.8 ms for 640x480 and 11 classes, the default takes 4.4
_PALETTE = palette().tobytes()


def encode(stem: str, sheet: Sheet) -> dict[str, bytes]:
    """File name -> content of a label map: 8 bits with a palette, or 16 bits (65535 for ignore) for large class numbers.

    Objects that are told apart are numbered from 1 in NAME.instances.png, of 16 bits; of two that share a pixel the later has it.
    """
    files = {f"{stem}.png": label_png(sheet.index_map())} if sheet.label_map is not None else {}
    if sheet.instances:
        numbers = np.zeros(sheet.size, np.uint16)
        for number, each in enumerate((one for listed in sheet.instances.values() for one in listed), 1):
            each.mark(numbers, number)
        files[stem + INSTANCES] = grey_png(numbers)
    return files


def label_png(labels: NDArray[np.integer]) -> bytes:
    """A label map (H, W) as a PNG: uint8 with a palette, other numbers in 16 bits, in which 65535 stands for what is below 0."""
    if labels.dtype != np.uint8:
        return grey_png(np.where(labels < 0, 65_535, labels).astype(np.uint16))
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(_PALETTE)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1, compress_type=_RUN_LENGTHS)
    return stream.getvalue()


ENCODER = Encoder(
    holds=frozenset({"masks", "holes", "instances", "ignored pixels", "unknown pixels", "keypoints", "dense"}),
    planned=lambda stem: [f"{stem}.png", stem + INSTANCES],
    encode=encode,
    finish=write_classes,
    ending=".png",
    single=encode,
    labels="masks/",
    side_files=True,
)
