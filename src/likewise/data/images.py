"""Reading pixels safely, whatever the file, and hashing what was read.

Every image becomes RGB uint8 (H, W, 3) with its EXIF rotation applied. Sizes are checked in the header before
anything is decoded. What cannot be read faithfully is refused by name, with the reason.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from likewise.data.channels import ChannelImage, channel_size, read_channels
from likewise.data.limits import REMEDY, pixel_limit
from likewise.errors import ImageError

Image.MAX_IMAGE_PIXELS = None  # our own limit below is checked before decoding, with a message that helps

ImageSource = str | os.PathLike[str] | Image.Image | NDArray[np.generic]

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "JPEG2000")  # by content: others, some of which run programs, are not tried
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".jp2"})
_EXIF_ORIENTATION = 0x0112
_BLOCK = 1 << 18  # bytes read at once


def is_image_path(path: Path) -> bool:
    """Whether a file name has the ending of an image that can be read, and is not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def image_size(source: ImageSource) -> tuple[int, int]:
    """The (height, width) that `read_image` will return, from the header alone. ImageError for more than `limits.pixel_limit`."""
    if isinstance(source, np.ndarray):
        height, width = _checked_array(source).shape[:2]
        return int(height), int(width)
    if not isinstance(source, Image.Image) and (isinstance(source, ChannelImage) or _is_foreign_tiff(os.fspath(source))):
        return channel_size(os.fspath(source))
    with _opened(source) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
        except Exception as error:  # of a PNG all pixels are decoded for it: see read_image
            raise _damaged(error, _where(source)) from error
        return (image.width, image.height) if turned else (image.height, image.width)


def read_image(source: ImageSource, *, at_least: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) uint8 RGB of a path, a PIL image or an array.

    at_least: a (height, width) that is enough; a JPEG of more than twice that is then decoded at 1/2, 1/4 or 1/8 of
    its size, which is several times faster. Raises ImageError with the file's name for what cannot be read:
    damaged or foreign files, several pages, floating-point pixels, more than `limits.pixel_limit`.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, ChannelImage):
        return read_channels(source)
    with _opened(source) as image:
        where = _where(source)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the pixels are what counts here
                _refuse_pages(image, where)
                if at_least is not None and image.format == "JPEG":
                    side = max(at_least)  # before the rotation is applied either side may become the height
                    image.draft(None, (side, side))
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image), where)
        except ImageError:
            raise
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError and more
            raise _damaged(error, where) from error


def _refuse_pages(image: Image.Image, where: str) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise ImageError(
            f"it has {pages} pages or frames", where=where, remedy="Save each page as an image of its own; of a TIFF choose some with --channels 1,2,3"
        )


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    total = hashlib.sha256()
    with io.FileIO(path) as stream:  # without a buffer: labels are small and many, and it would take longer than they do
        while block := stream.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def image_digest(source: ImageSource) -> str:
    """SHA-256 that names an image: of the file's bytes, or of the pixels and their shape for images in memory."""
    if isinstance(source, (str, os.PathLike)):
        try:
            return file_digest(source)
        except OSError as error:
            raise ImageError(f"it cannot be read ({error.strerror})", where=_where(source), remedy="Check the path and its permissions") from error
    pixels = read_image(source)
    total = hashlib.sha256(repr(pixels.shape).encode())
    total.update(np.ascontiguousarray(pixels).data)
    return total.hexdigest()


def describe_source(source: ImageSource) -> str:
    """A word for messages: the path, or the kind of object."""
    return _where(source)


def _where(source: ImageSource) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__} in memory>"


def _is_foreign_tiff(path: str) -> bool:
    """Whether a file is a TIFF of a kind that Pillow does not know: with many channels, or deep ones."""
    if not path.lower().endswith((".tif", ".tiff")):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS):
                return False
    except UnidentifiedImageError:
        return True
    except Exception:  # whatever a decoder raises: told by name when the image is opened
        return False


def _damaged(error: Exception, where: str) -> ImageError:
    return ImageError(f"the image is damaged ({error})", where=where, remedy="Open and save it again, or take it out of the folder")


def _opened(source: str | os.PathLike[str] | Image.Image) -> Image.Image:
    where = _where(source)
    if isinstance(source, Image.Image):
        _check_size(source, where)
        try:
            image = source.copy()  # never load, rotate or close what belongs to the caller
        except Exception as error:  # see read_image: the caller's image may be one that is not decoded yet
            raise _damaged(error, where) from error
        image.format = source.format
        return image
    try:
        _refuse_devices(source, where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(source, formats=FORMATS)
    except FileNotFoundError as error:
        raise ImageError("there is no such file", where=where, remedy="Check the path") from error
    except UnidentifiedImageError as error:
        tiff = where.lower().endswith((".tif", ".tiff"))
        remedy = "If it has many channels, or deep ones, choose some with --channels 3,2,1" if tiff else "Use PNG, JPEG, TIFF, BMP or WebP"
        raise ImageError("it is not an image that can be read", where=where, remedy=remedy) from error
    except ImageError:
        raise
    except Exception as error:  # see read_image: decoders raise many kinds while reading a header
        raise ImageError(f"its header cannot be read ({error})", where=where, remedy="Open and save it again, or take it out of the folder") from error
    try:
        _check_size(image, where)
    except ImageError:
        image.close()
        raise
    return image


def _refuse_devices(path: str | os.PathLike[str], where: str) -> None:
    """ImageError for what is no file of bytes: a pipe or a device would be read without end."""
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise ImageError("it is not a file", where=where, remedy="Take it out of the folder")


def _check_size(image: Image.Image, where: str) -> None:
    if image.width * image.height > pixel_limit():
        pixels = f"{image.width}x{image.height} is {image.width * image.height:,} pixels, the limit is {pixel_limit():,}"
        raise ImageError(pixels, where=where, remedy=REMEDY)


def _to_rgb(image: Image.Image, where: str) -> NDArray[np.uint8]:
    if image.mode == "RGB":
        return np.asarray(image)
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        return _grey_to_rgb(np.asarray(image), where)
    if image.mode == "F":
        raise ImageError(
            "its pixels are floating-point numbers, whose range is unknown", where=where, remedy="Save it as 8-bit or 16-bit, or scale it with --channels 1"
        )
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _grey_to_rgb(values: NDArray[np.generic], where: str) -> NDArray[np.uint8]:
    """16-bit grey to RGB: scaled by the smallest of 8, 10, 12, 14, 16 bits that holds the brightest pixel."""
    grey = values.astype(np.int64)
    top = int(grey.max(initial=0))
    if int(grey.min(initial=0)) < 0 or top > 65_535:
        raise ImageError(f"its values run from {int(grey.min())} to {top}, outside 16 bits", where=where, remedy="Save it as 8-bit or 16-bit")
    bits = next(bits for bits in (8, 10, 12, 14, 16) if top < 2**bits)
    eight = np.rint(grey * (255.0 / (2**bits - 1))).astype(np.uint8)
    return np.repeat(eight[:, :, None], 3, axis=2)


def _checked_array(array: NDArray[np.generic]) -> NDArray[np.generic]:
    shape_is_fine = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not shape_is_fine or array.dtype not in (np.uint8, np.uint16, np.bool_):
        raise ImageError(f"the array is {array.dtype} {array.shape}", where="image", remedy="Give (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16")
    if 0 in array.shape:
        raise ImageError(f"the array has no pixels: {array.shape}", where="image", remedy="Give an image of at least 1x1")
    return array


def _from_array(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    array = _checked_array(array)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint16:
        if array.ndim == 3:
            raise ImageError("16-bit colour arrays are not read", where="image", remedy="Scale it to 8 bits first")
        return _grey_to_rgb(array, "image")
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2).astype(np.uint8)
    if array.shape[2] == 4:
        return _to_rgb(Image.fromarray(array.astype(np.uint8), "RGBA"), "image")
    return array.astype(np.uint8, copy=True)
