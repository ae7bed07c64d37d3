"""Pictures of characters as the published code bases prepare them, and photographs as Chen et al. 2019 do.

A drawing is a plane (H, W) of ink, true where the pen was. Code that asks for a smooth resizing of pictures of one bit gets every so
manieth pixel instead, so the prepared drawings are binary, and those of `closer_look_picture`, which turn grey before, are not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RELATION_MEAN, RELATION_STD = 0.92206, 0.08426  # of Omniglot, paper 1; the published relation networks use them for photographs too
SIDE = 28


def nearest(plane: NDArray[np.bool_], side: int = SIDE) -> NDArray[np.bool_]:
    """A drawing (H, W) at side x side, each pixel the one under its centre."""
    rows, columns = (((np.arange(side) + 0.5) * length / side).astype(int) for length in plane.shape)
    return plane[rows[:, None], columns]


def prototypical_drawing(ink: NDArray[np.bool_], turns: int = 0, side: int = SIDE) -> NDArray[np.float32]:
    """A drawing (side, side), ink 1, turned counter-clockwise by right angles before it is resized, first axis x (Snell et al. 2017)."""
    return np.ascontiguousarray(nearest(np.rot90(ink, turns), side).T).astype(np.float32)


def maml_drawing(ink: NDArray[np.bool_], turns: int = 0, side: int = SIDE) -> NDArray[np.float32]:
    """A drawing (side, side), ink 1, turned counter-clockwise by right angles after it was resized (Finn et al. 2017)."""
    return np.ascontiguousarray(np.rot90(nearest(ink, side), turns)).astype(np.float32)


def relation_drawing(ink: NDArray[np.bool_], turns: int = 0, side: int = SIDE) -> NDArray[np.float32]:
    """A drawing (side, side) as in `maml_drawing`, paper 0.925 and ink -10.94 (Sung et al. 2018)."""
    paper = 1 - maml_drawing(ink, turns, side)
    return (paper - np.float32(RELATION_MEAN)) / np.float32(RELATION_STD)


def closer_look_drawing(ink: NDArray[np.bool_], side: int = SIDE) -> NDArray[np.float32]:
    """A drawing (3, side, side) as a photograph of dark ink on bright paper, of which encoders see the first channel (Chen et al. 2019)."""
    grey = np.where(ink, 0, 255).astype(np.uint8)
    return closer_look_picture(np.repeat(grey[..., None], 3, axis=2), side)


def closer_look_picture(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """A picture (H, W, 3) as (3, side, side): squeezed to 1.15 sides, its middle cut out, with ImageNet's mean and deviation (Chen et al. 2019)."""
    unit = closer_look_crop(pixels, side).astype(np.float32) / 255
    normal = (unit - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def closer_look_crop(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) squeezed to 1.15 sides, its middle (side, side, 3) cut out (Chen et al. 2019)."""
    large = int(side * 1.15)
    begin = round((large - side) / 2)
    resized = np.asarray(Image.fromarray(pixels).resize((large, large), Image.Resampling.BILINEAR))
    return np.ascontiguousarray(resized[begin : begin + side, begin : begin + side])
