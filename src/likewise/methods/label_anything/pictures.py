"""How Label Anything sees pictures and prompts, and how its logits come back to the size of a picture.

padded: the longer side becomes that of the square, the rest of it is filled with zeros behind the normalisation (SAM);
else every picture becomes the square (MAE). Source: De Marinis et al. 2024, its code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from likewise.backbones.vit import Colour
from likewise.data.geometry import by_longer_side, squash_image
from likewise.functional.resize import resize_nearest

MASK_SIDE = 256  # of the masks that the published networks take


@dataclass(frozen=True)
class Frame:
    """The square of `side` pixels that a network sees, and whether pictures keep their shape in it."""

    side: int
    padded: bool

    def inner(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) of a picture of `size` within the square, a half rounded up."""
        return by_longer_side(size, self.side) if self.padded else (self.side, self.side)

    def normalised(self, picture: NDArray[np.uint8], mean: Colour, std: Colour) -> Tensor:
        """A picture (H, W, 3) as the image encoder takes it: (3, side, side), PIL's bilinear filter, zeros beside a picture that keeps its shape."""
        inner = torch.from_numpy(squash_image(picture, self.inner((picture.shape[0], picture.shape[1]))).copy()).float() / 255
        square = torch.zeros(3, self.side, self.side)
        square[:, : inner.shape[0], : inner.shape[1]] = ((inner - torch.tensor(mean)) / torch.tensor(std)).movedim(-1, 0)
        return square

    def placed(self, points: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
        """Points or corners (..., 2), (x, y) in pixels of a picture of `size`, in pixels of the square."""
        height, width = self.inner(size)
        return (np.asarray(points, np.float64) * [width / size[1], height / size[0]]).astype(np.float32)

    def mask(self, mask: NDArray[np.bool_], *, official: bool = True) -> NDArray[np.uint8]:
        """A mask (H, W) as the prompt encoder takes it, 256 square, by nearest pixels.

        official: an object may vanish on the way; else the pixel nearest to its middle stays.
        """
        height, width = self.inner((mask.shape[0], mask.shape[1]))
        plane = torch.from_numpy(np.array(mask, np.uint8))
        if self.padded:
            square = torch.zeros(self.side, self.side, dtype=torch.uint8)
            square[:height, :width] = resize_nearest(plane, (height, width))
            plane = square
        found = resize_nearest(plane, (MASK_SIDE, MASK_SIDE)).numpy()
        if not official and mask.any() and not found.any():
            row, column = (float(places.mean()) + 0.5 for places in np.nonzero(mask))
            x, y = self.placed(np.array([column, row]), (mask.shape[0], mask.shape[1])) * (MASK_SIDE / self.side)
            found[min(int(y), MASK_SIDE - 1), min(int(x), MASK_SIDE - 1)] = 1
        return np.asarray(found, np.uint8)

    def squared(self, low: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits (B, C, h, w) of the network at the size that a picture of `size` has within the square: the first of two resizes."""
        height, width = self.inner(size)
        return interpolate(low, (self.side, self.side), mode="bilinear", align_corners=False)[..., :height, :width]

    def enlarged(self, low: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits (B, C, h, w) of the network at the (height, width) of the picture, by two resizes in a row, as published."""
        return interpolate(self.squared(low, size), size, mode="bilinear", align_corners=False)
