"""What the learners read of a picture: a vector of a frozen backbone, or the features of an encoder that a checkpoint brings.

Letters: E examples, B images, D width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from likewise.backbones.encoders import encoder_of
from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD
from likewise.errors import UsageError

Network = TypeVar("Network")
Pixels = Literal["imagenet", "ink", "paper", "grey"]
PIXELS: tuple[Pixels, ...] = ("imagenet", "ink", "paper", "grey")

BACKBONE_SIDE = 224  # whole pictures: what vision transformers are trained and judged at
CROPPED = 1.15  # pictures of encoders are made this much larger than what is cut from their middle (Chen et al. 2019)
DRAWN = 105  # the side of Omniglot's drawings
PAPER_MEAN, PAPER_STD = 0.92206, 0.08426  # of Omniglot's drawings (Sung et al. 2018)


class Held(Generic[Network]):
    """The network that was built last: kept until other tensors come, as building a ResNet-18 takes half as long as a batch."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Tensor, ...], Network] | None = None

    def __call__(self, tensors: Mapping[str, Tensor], build: Callable[[], Network]) -> Network:
        """What `build` makes of these tensors."""
        given, last = tuple(tensors.values()), self._last
        if last is None or len(last[0]) != len(given) or any(one is not other for one, other in zip(last[0], given, strict=True)):
            last = self._last = given, build()
        return last[1]


def side_of(encoder: str) -> int:
    """The side in pixels of what an encoder by name sees: 28 of drawings, 224 of residual networks, else 84 (Chen et al. 2019)."""
    if encoder.startswith("resnet") and not encoder.startswith("resnet12"):
        return 224
    return 28 if "4s" in encoder else 84


def backbone_wish(side: int) -> FeatureSpec:
    """The last layer of the backbone, of whole pictures."""
    return FeatureSpec(layers=(-1,), side=side or BACKBONE_SIDE)


def encoder_wish(encoder: str, side: int) -> FeatureSpec:
    """Square pictures for an encoder, 1.15 times as large as what is cut from their middle."""
    return square_wish(int(CROPPED * (side or side_of(encoder))))


def whole_wish(encoder: str, side: int) -> FeatureSpec:
    """Square pictures for an encoder of which nothing is cut: drawings as they were drawn, since they are brought to size by nearest neighbours."""
    return square_wish(max(DRAWN, side) if side_of(encoder) < DRAWN // 2 else side or side_of(encoder))


def square_wish(side: int) -> FeatureSpec:
    """The picture as a square of so many pixels."""
    return FeatureSpec(backbone=None, squash=True, side=side)


def whole_vectors(items: Sequence[ImageFeatures]) -> Tensor:
    """A vector (D,) a picture of the last layer: the class token, if there is one, beside the mean patch token, each of length 1 -> (B, D)."""
    found = []
    for item in items:
        parts = [item.prefix[-1, :1].float()] if item.prefix.shape[1] else []
        parts.append(item.tokens[-1].float().mean(dim=0, keepdim=True))
        found.append(torch.cat([normalize(part, dim=-1) for part in parts], dim=-1))
    return torch.cat(found)


def centred(vectors: Tensor, centre: Tensor) -> Tensor:
    """Vectors (B, D) without the support's mean (D,), of length 1 (Wang et al. 2019, SimpleShot: CL2N)."""
    return normalize(vectors - centre, dim=-1)


def pictures(items: Sequence[ImageFeatures], side: int, pixels: Pixels, *, whole: bool = False) -> Tensor:
    """Normalised pictures (B, 3, side, side), cut from the middle of larger ones; whole: every so-manieth row and column of them instead.

    pixels: "imagenet", the usual mean and deviation; "ink", grey with ink 1 and paper 0 (Snell et al. 2017); "paper", grey by Omniglot's mean and
    deviation, paper light (Sung et al. 2018); "grey", 0..1. UsageError where there is no picture.
    """
    found = [item.pixels for item in items if item.pixels is not None]
    if len(found) < len(items):
        raise UsageError("the features have no picture", where="features", remedy="Ask for what `wants` says")
    given = found[0].shape[-1]
    rows = ((torch.arange(side) + 0.5) * given / side).long() if whole else torch.arange(side) + (given - side) // 2
    cut = torch.stack(found)[:, :, rows][:, :, :, rows].float()
    if pixels == "imagenet":
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        return (cut - mean) / deviation
    grey = cut.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1) / 255
    if pixels == "grey":
        return grey
    return 1 - grey if pixels == "ink" else (grey - PAPER_MEAN) / PAPER_STD


def opened_encoder(encoder: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The encoder of a checkpoint in evaluation mode; torch's generator is left as it was. WeightsError where the tensors do not fit."""
    with torch.random.fork_rng(devices=()):
        return encoder_of(encoder, tensors).eval().requires_grad_(False)


def feature_shape(encoder: nn.Module, side: int) -> tuple[int, ...]:
    """What an encoder makes of a picture: (D,) or (C, h, w). Its statistics stay as they are."""
    training = encoder.training
    with torch.no_grad():
        shape = encoder.eval()(torch.zeros(1, 3, side, side)).shape[1:]
    encoder.train(training)
    return tuple(shape)
