"""Where the features of pixel classification come from: tokens of the backbone, Gaussian filters, or the first layers of a VGG-16 that is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.errors import UsageError, WeightsError
from likewise.functional.filter_bank import filter_bank
from likewise.methods.convpaint.pictures import colours, pyramid
from likewise.methods.convpaint.vgg import check_layers, hooked, needed, reach_of
from likewise.weights import read_lightning

TOKENS, FILTERS = "tokens", "filters"


def vgg_weights(path: str, layers: Sequence[int]) -> dict[str, Tensor]:
    """The weights of the first layers, of a file of VGG-16 with torchvision's names. Raises WeightsError for a file that is missing or another network's.

    Raises UsageError for places without a convolution.
    """
    try:
        check_layers(layers)
    except ValueError as error:
        raise UsageError(str(error), where="layers", remedy="Name convolutions, as 0, 2 or 5") from error
    names = needed(layers)
    if not Path(path).is_file():
        raise WeightsError("there is no such file of a VGG-16", where=path, remedy="Check the path, or set features to tokens or filters")
    tensors = read_lightning(Path(path))
    missing = [name for name in names if name not in tensors]
    if missing:
        raise WeightsError(f"it is no VGG-16: no {missing[0]}", where=path, remedy="Take one whose tensors are named as torchvision's")
    return {name: tensors[name].float() for name in names}


def described(item: ImageFeatures, source: str, weights: Mapping[str, Tensor], layers: Sequence[int], scales: Sequence[int]) -> ImageFeatures:
    """Features as they are learned from: the tokens of the last layer as they came, or a token for each pixel of the picture."""
    if source == TOKENS:
        return replace(item, tokens=item.tokens[-1:].float())
    assert item.pixels is not None
    pixels = item.pixels.numpy()
    if source == FILTERS:
        maps = torch.from_numpy(filter_bank(pixels.astype(np.float32) / np.float32(255)))
    else:
        maps = pyramid(colours(pixels), partial(hooked, weights, layers), scales, reach_of(layers))
    return replace(item, tokens=maps.flatten(1).T[None], grid=(maps.shape[1], maps.shape[2]), pixels=None)
