"""PerSAM's location prior (section 3.1 of the paper): the mean token of an object, where a picture is like it, and the prompts made of that.

Published, the tokens are those of Segment Anything's own encoder, of pictures whose longer side is that of its square and which are filled with zeros
to the right and below; any grid of tokens may take their place.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from likewise.data.geometry import by_longer_side, squash_image
from likewise.functional.resize import resize_grid

MEAN, STD = 123.675, 58.395  # of Segment Anything's red, in which masks are seen
FINER = 4  # by which the prior is enlarged, as if it were the network's mask


def official_tokens(mask: NDArray[np.uint8], side: int, grid: tuple[int, int]) -> Tensor:
    """The tokens (h, w) bool of an object whose mask is a picture (H, W, 3), seen as the network sees pictures of its square of `side` pixels.

    Inside or outside depends on the value that the mask's picture has there: at 128 all of the sampled pixels must be object, at 255 half of them.
    """
    small = squash_image(mask, by_longer_side((mask.shape[0], mask.shape[1]), side))
    red = (torch.from_numpy(small[..., 0].astype(np.float32)) - MEAN) / STD
    square = torch.nn.functional.pad(red, (0, side - red.shape[1], 0, side - red.shape[0]))
    return resize_grid(square, grid) > 0


def embedding(tokens: Tensor, objects: Tensor, *, with_largest: bool = False) -> Tensor:
    """The mean (D,) of tokens (P, D) as they are, not of length 1, over `objects` (P,) bool.

    with_largest: the mean of that and of the largest value in each channel, as where the scales of masks are learned (PerSAM-F). Raises ValueError
    for an object without a token.
    """
    own = tokens[objects]
    if not len(own):
        raise ValueError(f"none of {len(tokens)} tokens is of the object")
    mean = own.mean(dim=0)
    return (own.amax(dim=0) + mean) / 2 if with_largest else mean


def prior(target: Tensor, mean: Tensor) -> Tensor:
    """Cosine (P,) of the tokens (P, D) of a picture with a mean token (D,)."""
    return normalize(target, dim=1) @ normalize(mean, dim=0)


def official_size(similarity: Tensor, side: int, filled: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """A prior (h, w) over the network's square as one (H, W) of the picture, which fills a part (height, width) of the square; three enlargements."""
    height, width = similarity.shape
    fine = resize_grid(similarity, (FINER * height, FINER * width))
    return resize_grid(resize_grid(fine, (side, side))[: filled[0], : filled[1]], size)


def points(similarity: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """The pixels (x, y) of a prior (H, W) that are most and least like the object."""
    width = similarity.shape[1]
    top, last = int(similarity.argmax()), int(similarity.argmin())
    return (top % width, top // width), (last % width, last // width)


def attention_bias(similarity: Tensor, grid: tuple[int, int]) -> Tensor:
    """What is added to the logits of the network's attention from prompts to the picture (h*w,): the prior (H, W) with mean 0 and deviation 1, in 0..1."""
    scaled = (similarity - similarity.mean()) / similarity.std()
    return resize_grid(scaled, grid).sigmoid().flatten()
