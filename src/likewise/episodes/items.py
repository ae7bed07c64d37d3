"""From an episode's pictures and label maps to tensors, as the published code prepares them.

Source: the code of CST and iFSL. Pictures are squashed to a square by PIL's bilinear filter, which averages when it shrinks;
masks by nearest samples; the query's mask keeps its size but in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.backbones.vit import IMAGENET_MEAN, IMAGENET_STD
from likewise.data.geometry import squash_image
from likewise.episodes.sampling import Episode
from likewise.errors import InputError
from likewise.functional.resize import resize_nearest

SIDE = 400  # of every published table of CST, HSNet and ASNet
VOID = 255


class Pictures(Protocol):
    """Where pixels come from: RGB (H, W, 3) uint8 and label maps (H, W) uint8, by name."""

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture."""
        ...

    def labels(self, name: str) -> NDArray[np.uint8]:
        """Class numbers, 255 for void."""
        ...


@dataclass(frozen=True)
class Item:
    """An episode as tensors.

    query (3, S, S) and supports (N, K, 3, S, S), normalised; query_mask (H, W), or (S, S) in training, support_masks (N, K, S, S):
    n + 1 on the n-th class; query_void and support_void: where the truth is unknown, of the same shapes; present (N,):
    whether the query shows the class; classes (N,); size: (H, W) of the query's picture.
    """

    query: Tensor
    query_mask: Tensor
    query_void: Tensor
    supports: Tensor
    support_masks: Tensor
    support_void: Tensor
    present: Tensor
    classes: Tensor
    size: tuple[int, int]


def fscs_item(episode: Episode, pictures: Pictures, *, side: int = SIDE, training: bool = False) -> Item:
    """The tensors of an episode. Raises InputError for a label map that has not the size of its picture."""
    image, labels = _pair(pictures, episode.query)
    size = (side, side) if training else (labels.shape[0], labels.shape[1])
    query_mask, query_void = _resized(relative_labels(labels, episode.classes), size), _resized(labels == VOID, size)
    supports, masks, voids = [], [], []
    for place, (number, names) in enumerate(zip(episode.classes, episode.supports, strict=True), start=1):
        for name in names:
            picture, own = _pair(pictures, name)
            supports.append(normalised(picture, side))
            masks.append(_resized((own == number) * np.uint8(place), (side, side)))
            voids.append(_resized(own == VOID, (side, side)))
    shape = (len(episode.classes), len(episode.supports[0]))
    return Item(
        normalised(image, side),
        query_mask,
        query_void,
        torch.stack(supports).reshape(*shape, 3, side, side),
        torch.stack(masks).reshape(*shape, side, side),
        torch.stack(voids).reshape(*shape, side, side),
        torch.tensor([bool((labels == number).any()) for number in episode.classes]),
        torch.tensor(episode.classes),
        (labels.shape[0], labels.shape[1]),
    )


def normalised(image: NDArray[np.uint8], side: int) -> Tensor:
    """A picture (H, W, 3) as the backbones of ImageNet expect it: (3, side, side)."""
    scaled = torch.from_numpy(squash_image(image, (side, side)).transpose(2, 0, 1).copy()).float() / 255
    return (scaled - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]


def relative_labels(labels: NDArray[np.integer], classes: Sequence[int]) -> NDArray[np.uint8]:
    """A label map with n + 1 where the given one shows the n-th class, 0 elsewhere, void included.

    >>> relative_labels(np.array([7, 0, 3, 255]), (3, 7)).tolist()
    [2, 0, 1, 0]
    """
    found = np.zeros(labels.shape, np.uint8)
    for place, number in enumerate(classes, start=1):
        found[labels == number] = place
    return found


def _pair(pictures: Pictures, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    image, labels = pictures.image(name), pictures.labels(name)
    if image.shape[:2] != labels.shape:
        got, want = f"{labels.shape[1]}x{labels.shape[0]}", f"{image.shape[1]}x{image.shape[0]}"
        raise InputError(f"its mask is {got}, the image {want}", where=name, remedy="Take image and mask from the same release of the data")
    return image, labels


def _resized(plane: NDArray[np.uint8] | NDArray[np.bool_], size: tuple[int, int]) -> Tensor:
    return resize_nearest(torch.from_numpy(np.ascontiguousarray(plane)).to(torch.uint8), size)
