"""Dense targets made from a picture itself: labels without a labeller, for meta-training and for tests.

All take pictures (N, 3, H, W) in 0..1 and give values (N, C, H, W) in 0..1 and where these are known (N, C, H, W), of 0 and
1. What has no scale of its own is measured by the largest value of each picture, unless even that cannot be seen: a picture in
which there is nothing gets zeros. `PICTURE_TARGETS` lists them with their sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from likewise.functional.texture import TEXTURE_EDGES, texture_edges

Made = tuple[Tensor, Tensor]
HARRIS = 0.04  # k, within the usual 0.04 to 0.06
CORNER_SIGMA, ORIENTATION_SIGMA, CONTRAST_SIGMA, SALIENCY_SIGMA = 1.5, 3.0, 4.0, 1.0  # pixels; ours but for the last, which stands for a 5x5 binomial filter
TINT = 1 / 16  # share of the height; ours
STEP, SEEN = 1 / 255, 1.0  # the least difference of lightness that a picture can hold, and of colours that people see
WEAK = 0.01  # share of the strongest gradient energy below which a direction means nothing
_LAB_SPAN = 110.0  # a and b of colours that a screen shows lie within
_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))  # sRGB, D65


@dataclass(frozen=True)
class PictureTarget:
    """A family of targets: how many channels it has, how they are made, and from where the idea is."""

    channels: int
    make: Callable[[Tensor], Made]
    source: str


def texture(pictures: Tensor) -> Made:
    """Edges of texture at three scales."""
    return _all_known(texture_edges(pictures))


def corners(pictures: Tensor) -> Made:
    """Strength of corners, as a heat map of key points.

    The fourth root of the response, which is of fourth order in the gradient: so it grows with contrast as edges do. Edges and
    plain parts, whose response is negative or 0, have 0.
    """
    across, both, down = structure(pictures, CORNER_SIGMA)
    response = across * down - both.square() - HARRIS * (across + down).square()
    return _all_known(_by_largest(response.clamp_min(0) ** 0.25, STEP))


def saliency(pictures: Tensor) -> Made:
    """How far the colour of a place is from the picture's mean colour."""
    colours = lab(pictures)
    return _all_known(_by_largest((smoothed(colours, SALIENCY_SIGMA) - colours.mean(dim=(2, 3), keepdim=True)).norm(dim=1, keepdim=True), SEEN))


def contrast(pictures: Tensor) -> Made:
    """Standard deviation of lightness around each place."""
    light = lab(pictures)[:, :1] / 100
    light = light - light.mean(dim=(2, 3), keepdim=True)  # so that squares of what is alike are small, and so is their rounding
    variance = smoothed(light.square(), CONTRAST_SIGMA) - smoothed(light, CONTRAST_SIGMA).square()
    return _all_known(_by_largest(variance.clamp_min(0).sqrt(), STEP))


def orientation(pictures: Tensor) -> Made:
    """Cosine and sine of twice the direction of the gradient, 0..1 for -1..1; unknown where there is hardly any."""
    across, both, down = structure(pictures, ORIENTATION_SIGMA)
    energy = across + down
    doubled = torch.cat([across - down, 2 * both], dim=1)
    known = (energy > (WEAK * energy.amax(dim=(2, 3), keepdim=True)).clamp_min(STEP**2)).expand_as(doubled)
    unit = doubled / doubled.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return torch.where(known, (1 + unit) / 2, torch.zeros_like(unit)), known.to(pictures)


def colour(pictures: Tensor) -> Made:
    """Lightness, green to red, blue to yellow."""
    light, *opponents = lab(pictures).unbind(dim=1)
    return _all_known(torch.stack([light / 100, *((plane / _LAB_SPAN + 1) / 2 for plane in opponents)], dim=1).clamp(0, 1))


def tint(pictures: Tensor) -> Made:
    """The colour of a place's surroundings: lightness, green to red, blue to yellow."""
    values, known = colour(pictures)
    return smoothed(values, TINT * pictures.shape[-2]), known


def place(pictures: Tensor) -> Made:
    """How far to the right and how far down a place is in its picture."""
    count, _, rows, columns = pictures.shape
    across, down = (torch.linspace(0, 1, size).to(pictures) for size in (columns, rows))
    return _all_known(torch.stack([across.expand(rows, columns), down[:, None].expand(rows, columns)]).expand(count, 2, rows, columns))


def lab(pictures: Tensor) -> Tensor:
    """CIE 1976 L*a*b* of sRGB pictures (N, 3, H, W) in 0..1: L in 0..100.

    >>> lab(torch.ones(1, 3, 1, 1)).flatten().round().tolist()
    [100.0, 0.0, 0.0]
    """
    linear = torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(_TO_XYZ).to(pictures)
    x, y, z = torch.einsum("ij,njhw->inhw", matrix / matrix.sum(dim=1, keepdim=True), linear)
    x, y, z = (torch.where(t > (6 / 29) ** 3, t.clamp_min(1e-9) ** (1 / 3), t * (29 / 6) ** 2 / 3 + 4 / 29) for t in (x, y, z))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def structure(pictures: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """The structure tensor of lightness under a Gaussian window: squares across, products, squares down, (N, 1, H, W) each."""
    light = pad(lab(pictures)[:, :1] / 100, (1, 1, 1, 1), mode="replicate")
    across, down = (light[..., 1:-1, 2:] - light[..., 1:-1, :-2]) / 2, (light[..., 2:, 1:-1] - light[..., :-2, 1:-1]) / 2
    return smoothed(across.square(), sigma), smoothed(across * down, sigma), smoothed(down.square(), sigma)


def smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Maps (N, C, H, W) under a Gaussian that is cut at three sigma and sums to 1, their border repeated outwards."""
    reach = math.ceil(3 * sigma)
    weight = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weight = (weight / weight.sum()).to(maps)
    flat = pad(maps.flatten(0, 1)[:, None], [reach] * 4, mode="replicate")
    return conv2d(conv2d(flat, weight[None, None, :, None]), weight[None, None, None]).reshape(maps.shape)


def _by_largest(values: Tensor, least: float) -> Tensor:
    """Values over the largest of each picture, which counts as `least` at least."""
    return values / values.amax(dim=(1, 2, 3), keepdim=True).clamp_min(least)


def _all_known(values: Tensor) -> Made:
    return values, torch.ones_like(values)


PICTURE_TARGETS = {
    "texture": PictureTarget(len(TEXTURE_EDGES), texture, "Sobel edges after a Gaussian, as Kim et al. 2023 label Taskonomy"),
    "corners": PictureTarget(1, corners, "Harris and Stephens 1988, A combined corner and edge detector"),
    "saliency": PictureTarget(1, saliency, "Achanta et al. 2009, Frequency-tuned salient region detection"),
    "contrast": PictureTarget(1, contrast, "Peli 1990, Contrast in complex images, by the standard deviation in a window"),
    "orientation": PictureTarget(2, orientation, "Bigun and Granlund 1987, Optimal orientation detection of linear symmetry"),
    "colour": PictureTarget(3, colour, "CIE 1976 L*a*b*"),
    "tint": PictureTarget(3, tint, "CIE 1976 L*a*b* behind a wide Gaussian"),
    "place": PictureTarget(2, place, "the picture's frame"),
}
