"""Pictures and label maps of Pascal-5i and COCO-20i in the folders that their authors and the published code use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from likewise.data.images import image_size, read_image
from likewise.errors import InputError

_NO_IMAGE = "the list names an image that is not there"
_NO_MASK = "the mask of an image is not there"
_ONE_RELEASE = "Take image and mask from the same release of the data"


@dataclass(frozen=True)
class _Folder:
    """Pictures and label maps below `root`, at places that a subclass says. See `items.Pictures`."""

    root: Path

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3); InputError where it is missing or damaged."""
        return _image(self.image_path(name))

    def labels(self, name: str) -> NDArray[np.uint8]:
        """Class numbers from 1, 0 for background, 255 for void, (H, W)."""
        return _labels(self.mask_path(name))

    def image_path(self, name: str) -> Path:
        """Where a picture stands."""
        raise NotImplementedError

    def mask_path(self, name: str) -> Path:
        """Where its mask stands."""
        raise NotImplementedError


class PascalFolder(_Folder):
    """VOC2012 with SBD: JPEGImages/NAME.jpg and SegmentationClassAug/NAME.png; classes 1 to 20."""

    def image_path(self, name: str) -> Path:
        """JPEGImages/NAME.jpg."""
        return self.root / "JPEGImages" / f"{name}.jpg"

    def mask_path(self, name: str) -> Path:
        """SegmentationClassAug/NAME.png."""
        return self.root / "SegmentationClassAug" / f"{name}.png"


class CocoFolder(_Folder):
    """COCO 2014: val2014/NAME.jpg and annotations/val2014/NAME.png, drawn by the authors of the lists; classes 1 to 80, no void."""

    def image_path(self, name: str) -> Path:
        """NAME, which says its folder."""
        return self.root / name

    def mask_path(self, name: str) -> Path:
        """annotations/NAME, as PNG."""
        return (self.root / "annotations" / name).with_suffix(".png")


def check_pair(image: Path, mask: Path) -> None:
    """InputError where a picture or its mask is missing, or where their headers say different sizes."""
    _there(image, _NO_IMAGE)
    _there(mask, _NO_MASK)
    size = image_size(image)
    try:
        with Image.open(mask) as opened:
            width, height = opened.size
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"the mask cannot be read ({error})", where=str(mask), remedy="Fetch it again") from error
    if (height, width) != size:
        raise InputError(f"the mask is {width}x{height}, its image {size[1]}x{size[0]}", where=str(mask), remedy=_ONE_RELEASE)


def _image(path: Path) -> NDArray[np.uint8]:
    _there(path, _NO_IMAGE)
    return read_image(path)


def _labels(path: Path) -> NDArray[np.uint8]:
    _there(path, _NO_MASK)
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise InputError(f"its pixels are {image.mode}, not class numbers", where=str(path), remedy="Use the PNG masks with one channel")
            return np.asarray(image).copy()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"the mask cannot be read ({error})", where=str(path), remedy="Fetch it again") from error


def _there(path: Path, what: str) -> None:
    if not path.is_file():
        raise InputError(what, where=str(path), remedy="Fetch the data set again, or check the folder (`likewise data check`)")
