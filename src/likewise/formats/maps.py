"""Pixel files that hold values and not colours: index masks and dense maps.

An index mask is read in its index values: a palette PNG by its indices, a grey one by its numbers. A dense map is
a grey PNG or TIFF of 8, 16 or 32 bits, an 8-bit colour PNG (three channels), OpenEXR, or a NumPy array; stored numbers become
values by `stored * scale + offset`, and the stored number that means "unknown" becomes NaN.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from likewise.data.images import FORMATS
from likewise.data.limits import check_pixels
from likewise.data.tiff_limits import check_page
from likewise.errors import InputError
from likewise.formats.exr import exr_array

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")
DENSE_SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".exr")
_GREY_MODES = ("L", "P", "1", "I", "I;16", "I;16B", "I;16L", "I;16N")
_GREATEST = (1 << 31) - 1
_GREY_STEP = {2: 85, 4: 17}  # Pillow stretches grey of 2 and 4 bits to 0..255
_FORMULA = re.compile(
    r"(?:(?P<factor>\d+)\s*\*\s*)?\(?\s*value\s*(?:(?P<shift>[+-]\s*\d+)\s*\))?\s*\)?"
    r"(?:\s*/\s*(?P<divisor>\d+(?:\.\d+)?))?(?:\s*(?P<offset>[+-]\s*\d+(?:\.\d+)?))?(?!\s*[-+*/(\d.])"
)
_PARTS = {"factor": "1", "shift": "0", "divisor": "1", "offset": "0"}


@dataclass(frozen=True)
class Encoding:
    """How stored numbers become values: `stored * scale + offset`; `invalid` (one number, or one a channel) becomes NaN."""

    scale: float = 1.0
    offset: float = 0.0
    invalid: float | tuple[float, ...] | None = None


def read_index_mask(path: Path) -> NDArray[np.int32]:
    """The index values (H, W) of a mask; InputError for colours, damaged files, and kinds that lose values (JPEG)."""
    if path.suffix.lower() not in MASK_SUFFIXES:
        raise InputError(f"a mask cannot be a {path.suffix or 'file without an ending'}", where=str(path), remedy="Save masks as PNG: JPEG changes the values")
    return index_values(_pillow_array(path), path)


def read_colours(path: Path) -> NDArray[np.uint8] | None:
    """The colours (H, W, 3) of a mask that is drawn in colours, None for one in grey or with a palette. InputError as in `read_index_mask`."""
    values = _pillow_array(path)
    if values.ndim != 3 or values.shape[2] < 3 or values.dtype != np.uint8:
        return None
    return np.asarray(values[:, :, :3], np.uint8)


def decode_index_mask(content: bytes, where: str, size: tuple[int, int]) -> NDArray[np.int32]:
    """The index values (h, w) of a mask that is held in memory, as the bytes of a PNG; InputError unless it fits into an image of `size` (H, W)."""
    return index_values(_pillow_array(io.BytesIO(content), where, size), where)


def index_values(values: NDArray[np.generic], where: Path | str) -> NDArray[np.int32]:
    """Index values (H, W) of decoded pixels; colours are refused unless their channels are equal."""
    if values.ndim == 3:
        colours, alpha = (
            values[:, :, : 3 if values.shape[2] > 2 else 1],
            values[:, :, 3:] if values.shape[2] == 4 else values[:, :, 1:2] if values.shape[2] == 2 else None,
        )
        grey = bool((colours == colours[:, :, :1]).all()) and (alpha is None or bool((alpha == 255).all()))
        if not grey:
            raise InputError(
                "the mask holds colours, and a colour is no class number",
                where=str(where),
                remedy="Save it as index (palette) or grey PNG: 0 background, 1.. classes, 255 ignore",
            )
        values = values[:, :, 0]
    if not (np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_):
        raise InputError(f"the mask holds {values.dtype} numbers", where=str(where), remedy="Save it as 8-bit or 16-bit PNG")
    if values.dtype.itemsize > 2 and values.size and (int(values.min()) < -_GREATEST or int(values.max()) > _GREATEST):
        raise InputError(f"the mask holds numbers from {values.min()} to {values.max()}", where=str(where), remedy="Class numbers run from 1 to 32766")
    return values.astype(np.int32)


def read_dense(path: Path, encoding: Encoding) -> NDArray[np.float32]:
    """The values (H, W) or (H, W, C) of a dense map, NaN where unknown."""
    if path.suffix.lower() not in DENSE_SUFFIXES:
        raise InputError(
            f"a dense map cannot be a {path.suffix or 'file without an ending'}", where=str(path), remedy=f"Use one of {', '.join(DENSE_SUFFIXES)}"
        )
    readers = {".npy": _numpy_array, ".tif": _tiff_array, ".tiff": _tiff_array, ".exr": exr_array}
    stored = readers.get(path.suffix.lower(), _pillow_array)(path)
    if stored.ndim not in (2, 3) or 0 in stored.shape:
        raise InputError(f"the dense map has shape {stored.shape}", where=str(path), remedy="Give (H, W) or (H, W, C)")
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused by name later
        values = stored.astype(np.float64) * encoding.scale + encoding.offset
    if encoding.invalid is not None:
        invalid = np.asarray(encoding.invalid, np.float64)
        if invalid.ndim and (stored.ndim != 3 or stored.shape[2] != invalid.size):
            raise InputError(f"'invalid' has {invalid.size} numbers, the map has shape {stored.shape}", where=str(path), remedy="Give one number a channel")
        unknown = stored == invalid
        values[unknown if stored.ndim == 2 else unknown.all(axis=2)] = np.nan
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def parse_formula(text: str, where: str) -> tuple[float, float]:
    """(scale, offset) of an encoding written as text, such as "8-bit RGB, n = (value-1)/127 - 1".

    >>> parse_formula("n = value/127.5 - 1", "here")
    (0.00784313725490196, -1.0)
    """
    found = _FORMULA.search(text)
    if found is None or not any(found.groups()):
        raise InputError(f"the encoding {text!r} names no formula", where=where, remedy="Write it like '(value-1)/127 - 1' or 'value/127.5 - 1'")
    factor, shift, divisor, offset = (float((found[part] or default).replace(" ", "")) for part, default in _PARTS.items())
    if divisor == 0 or factor == 0:
        raise InputError(f"the encoding {text!r} multiplies or divides by 0", where=where, remedy="Write it like 'value/127.5 - 1'")
    return factor / divisor, shift * factor / divisor + offset


def looks_like_mask(path: Path) -> bool:
    """Whether the header says palette, grey or one bit, so that the file may be an index mask; opens the header alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                return image.mode in _GREY_MODES
    except Exception:  # whatever a decoder raises: it is not a mask that can be read
        return False


def _pillow_array(source: Path | io.BytesIO, name: str = "", most: tuple[int, int] | None = None) -> NDArray[np.generic]:
    where = name or str(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata
            with Image.open(source, formats=FORMATS) as image:
                check_pixels((image.height, image.width), where)
                if most is not None and (image.height > most[0] or image.width > most[1]):
                    told = f"the mask of {image.width}x{image.height} does not fit the image of {most[1]}x{most[0]}"
                    raise InputError(told, where=where, remedy="Draw it again")
                if getattr(image, "n_frames", 1) > 1:
                    raise InputError("it has several pages or frames", where=where, remedy="Save each as a file of its own")
                header = _png_header(source) if image.format == "PNG" else (8, 0)
                if header[0] == 16 and header[1] != 0:
                    raise InputError("colour PNG of 16 bits loses half its bits when read", where=where, remedy="Save it as .npy or as TIFF")
                values = np.asarray(image)
                return values // _GREY_STEP[header[0]] if header[1] == 0 and header[0] in _GREY_STEP else values
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError("it is not an image that can be read", where=where, remedy="Save it as PNG") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError and more
        raise InputError(f"it cannot be read ({error})", where=where, remedy="Check the path, or save it again as PNG") from error


def _png_header(source: Path | io.BytesIO) -> tuple[int, int]:
    """(bit depth, colour type) of a PNG, which Pillow does not tell."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            head = stream.read(26)
    else:
        head = source.getvalue()[:26]
    return head[24], head[25]


def _numpy_array(path: Path) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises ValueError, OSError, EOFError, UnicodeDecodeError and tokenize's errors
        raise InputError(f"it is not a NumPy array that can be read ({error})", where=str(path), remedy="Write it by numpy.save, without objects") from error
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3):
        told = f"it has shape {array.shape}" if isinstance(array, np.ndarray) else "it holds several arrays"
        raise InputError(told, where=str(path), remedy="Save one array (H, W) or (H, W, C) by numpy.save")
    check_pixels((array.shape[0], array.shape[1]), path, values=array.size)
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise InputError(f"it holds {array.dtype}", where=str(path), remedy="Save real numbers")
    return _stored(array)


def _stored(mapped: NDArray[np.generic]) -> NDArray[np.generic]:
    """The numbers of an array that was only mapped."""
    return np.array(mapped)


def _tiff_array(path: Path) -> NDArray[np.generic]:
    import tifffile  # half a second at start-up otherwise

    try:
        with tifffile.TiffFile(path, _multifile=False) as file:  # an OME-TIFF may name other files
            if len(file.pages) != 1:
                raise InputError(f"it has {len(file.pages)} pages", where=str(path), remedy="Save each as a file of its own")
            check_page(file.pages[0], str(path))
            return np.asarray(file.pages[0].asarray())
    except InputError:
        raise
    except Exception as error:  # tifffile raises many kinds for damaged files
        raise InputError(f"it is not a TIFF that can be read ({error})", where=str(path), remedy="Save it again, or as .npy") from error
