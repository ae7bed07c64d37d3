"""Pictures and label maps of Pascal-5i and COCO-20i in the folders that their authors and the published code use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from likewise.data.images import read_image
from likewise.errors import InputError


@dataclass(frozen=True)
class PascalFolder:
    """VOC2012 with SBD: JPEGImages/NAME.jpg and SegmentationClassAug/NAME.png below `root`. See `items.Pictures`."""

    root: Path

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3); InputError where it is missing or damaged."""
        return _image(self.root / "JPEGImages" / f"{name}.jpg")

    def labels(self, name: str) -> NDArray[np.uint8]:
        """Class numbers 1 to 20, 255 for void, (H, W)."""
        return _labels(self.root / "SegmentationClassAug" / f"{name}.png")


@dataclass(frozen=True)
class CocoFolder:
    """COCO 2014: val2014/NAME.jpg and annotations/val2014/NAME.png, drawn by the authors of the lists, below `root`. See `items.Pictures`."""

    root: Path

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3); InputError where it is missing or damaged."""
        return _image(self.root / name)

    def labels(self, name: str) -> NDArray[np.uint8]:
        """Class numbers 1 to 80, (H, W)."""
        return _labels((self.root / "annotations" / name).with_suffix(".png"))


def _image(path: Path) -> NDArray[np.uint8]:
    _there(path, "the list names an image that is not there")
    return read_image(path)


def _labels(path: Path) -> NDArray[np.uint8]:
    _there(path, "the mask of an image is not there")
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise InputError(f"its pixels are {image.mode}, not class numbers", where=str(path), remedy="Use the PNG masks with one channel")
            return np.asarray(image).copy()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"the mask cannot be read ({error})", where=str(path), remedy="Fetch it again") from error


def _there(path: Path, what: str) -> None:
    if not path.is_file():
        raise InputError(what, where=str(path), remedy="Fetch the data set again, or check the folder")
