"""Reading labels off a support by attention, with tokens as they are or averaged over units: pure functions for `matching.py`.

A unit is what counts as one thing when pictures are compared: a patch, a block of patches, a region of patches that look
alike, or the whole image. Averaging tokens and labels over units is all that the forms of matching differ in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.functional.matching import spread_out

TEMPERATURES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # of cosines
_ROUNDS = 10  # of k-means
_ASKED = 4  # every so many units of a left-out picture are asked about when the temperature is chosen, if there are many


@dataclass(frozen=True)
class Units:
    """How a picture is cut: "patch"; "block" of so many patches a side; "alike": so many regions; "image"; "few": so many single patches."""

    kind: Literal["patch", "block", "alike", "image", "few"]
    count: int = 1


@dataclass(frozen=True)
class Picture:
    """The patches of a picture: tokens (P, D) of length 1, values (P, C), weight (P,) of what is known; grid (h, w)."""

    tokens: Tensor
    values: Tensor
    weight: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True)
class Cut:
    """A picture in U units: tokens (U, D), values (U, C), weight (U,), and for each patch its unit (P,), -1 for none."""

    tokens: Tensor
    values: Tensor
    weight: Tensor
    unit: Tensor


def cut(picture: Picture, units: Units) -> Cut:
    """A picture cut into units, tokens and known values averaged over each."""
    number = unit_of(picture, units)
    inside = number >= 0
    place = number[inside]
    size = torch.zeros(int(number.max()) + 1).index_add_(0, place, torch.ones(len(place)))
    known = torch.zeros(len(size)).index_add_(0, place, picture.weight[inside])
    tokens = torch.zeros(len(size), picture.tokens.shape[1]).index_add_(0, place, picture.tokens[inside])
    values = torch.zeros(len(size), picture.values.shape[1]).index_add_(0, place, (picture.values * picture.weight[:, None])[inside])
    return Cut(normalize(tokens / size[:, None], dim=1), values / known.clamp_min(1e-6)[:, None], known, number)


def unit_of(picture: Picture, units: Units) -> Tensor:
    """The number of the unit of every patch: (P,), -1 for patches that are in none."""
    height, width = picture.grid
    count = height * width
    if units.kind == "image":
        return torch.zeros(count, dtype=torch.long)
    if units.kind == "block":
        rows, columns = torch.arange(height) // units.count, torch.arange(width) // units.count
        return (rows[:, None] * (int(columns[-1]) + 1) + columns).flatten()
    if units.kind == "alike":
        return alike(picture.tokens, units.count)
    found = torch.arange(count)
    if units.kind == "few":
        kept = spread_out(count, units.count)
        found = torch.full((count,), -1).index_put((kept,), torch.arange(len(kept)))
    return found


def alike(tokens: Tensor, count: int) -> Tensor:
    """The number of the region of every token (P, D) -> (P,): k-means by cosine from tokens that lie far from each other, none empty."""
    chosen = [int((tokens @ tokens.mean(0)).argmin())]
    nearest = tokens @ tokens[chosen[0]]
    while len(chosen) < min(count, len(tokens)):
        chosen.append(int(nearest.argmin()))
        nearest = torch.maximum(nearest, tokens @ tokens[chosen[-1]])
    centres = tokens[chosen]
    for _ in range(_ROUNDS):
        found = (tokens @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, found, tokens)
        centres = torch.where(sums.norm(dim=1, keepdim=True) > 0, normalize(sums, dim=1), centres)
    return (tokens @ centres.T).argmax(1).unique(return_inverse=True)[1]


def read(similarity: Tensor, values: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Values (K, C) averaged by softmax of cosines (Q, K) over a temperature; weight (K,) multiplies attention: (Q, C)."""
    return torch.softmax(similarity / temperature + weight.clamp_min(1e-30).log(), dim=1) @ values


def answer(query: Picture, support: Sequence[Picture], asked: Units, kept: Units, temperature: float) -> Tensor:
    """Values (P, C) of a query's patches: its units, matched to those of the support."""
    own, keys = cut(query, asked), [cut(picture, kept) for picture in support]
    return _answers(own, keys, (temperature,))[0][own.unit]


def copied(query: Picture, support: Sequence[Picture], temperature: float) -> Tensor:
    """Values (P, C) by whole images: label maps of the support laid over the query, weighted by how alike the images are."""
    whole = Units("image")
    own = cut(query, whole).tokens
    maps = torch.stack([_map_at(picture, query.grid) for picture in support])
    similarity = torch.cat([own @ cut(picture, whole).tokens.T for picture in support], dim=1)
    return read(similarity, maps.flatten(1), torch.ones(len(support)), temperature).reshape(maps.shape[1:])


def best_temperature(support: Sequence[Picture], asked: Units | None, kept: Units | None) -> float:
    """The temperature at which left-out examples are off least, every component counted in its own spread; None, None: for `copied`.

    Where most components are shown by one example alone, as with one image a class, nothing would be left to read them off:
    quarters of images are left out then.
    """
    shown = torch.stack([(picture.values * picture.weight[:, None] != 0).any(0) for picture in support]).sum(0)
    parts = list(support) if bool((shown > 1).float().mean() > 0.5) else [part for picture in support for part in quarters(picture)]
    values, weight = torch.cat([part.values for part in parts]), torch.cat([part.weight for part in parts])[:, None]
    mean = (values * weight).sum(0) / weight.sum()
    spread = ((values - mean).square() * weight).sum(0).clamp_min(1e-12)
    keys = None if kept is None else [cut(part, kept) for part in parts]
    errors = torch.zeros(len(TEMPERATURES))
    for place, part in enumerate(parts):
        if asked is None or keys is None:
            others = [other for index, other in enumerate(parts) if index != place]
            found = torch.stack([copied(part, others, temperature) for temperature in TEMPERATURES])
            errors += _error(found, part.values, part.weight, spread)
            continue
        own = cut(part, asked)
        some = _thinned(own) if asked.kind == "patch" else own
        found = _answers(some, [other for index, other in enumerate(keys) if index != place], TEMPERATURES)
        if some is own:
            errors += _error(found[:, own.unit], part.values, part.weight, spread)
        else:
            errors += _error(found, some.values, some.weight, spread)
    return TEMPERATURES[int(errors.argmin())]


def quarters(picture: Picture) -> list[Picture]:
    """A picture as four, those without anything known left out."""
    height, width = picture.grid
    numbers = torch.arange(height * width).reshape(height, width)
    rows, columns = (slice(0, height // 2), slice(height // 2, height)), (slice(0, width // 2), slice(width // 2, width))
    found = []
    for part in (numbers[down, across] for down in rows for across in columns):
        kept = part.flatten()
        found.append(Picture(picture.tokens[kept], picture.values[kept], picture.weight[kept], (part.shape[0], part.shape[1])))
    return [part for part in found if bool((part.weight > 0).any())]


def _answers(own: Cut, keys: Sequence[Cut], temperatures: Sequence[float]) -> Tensor:
    """Answers (T, U, C) for the units of a picture at several temperatures."""
    tokens, values, weight = (torch.cat([getattr(part, field) for part in keys]) for field in ("tokens", "values", "weight"))
    similarity = own.tokens @ tokens.T
    return torch.stack([read(similarity, values, weight, temperature) for temperature in temperatures])


def _thinned(own: Cut) -> Cut:
    return Cut(own.tokens[::_ASKED], own.values[::_ASKED], own.weight[::_ASKED], own.unit[::_ASKED])


def _error(found: Tensor, values: Tensor, weight: Tensor, spread: Tensor) -> Tensor:
    """Errors (T,) of answers (T, P, C), per known patch."""
    off = ((found - values) ** 2 / spread).sum(-1) * weight
    return off.sum(1) / weight.sum().clamp_min(1e-6)


def _map_at(picture: Picture, grid: tuple[int, int]) -> Tensor:
    """The values of a picture at another grid: (P', C); what is not known there counts as the picture's mean."""
    mean = (picture.values * picture.weight[:, None]).sum(0) / picture.weight.sum().clamp_min(1e-6)
    filled = mean + (picture.values - mean) * picture.weight[:, None]
    planes = filled.T.reshape(1, -1, *picture.grid)
    return torch.nn.functional.interpolate(planes, size=grid, mode="bilinear", align_corners=False)[0].flatten(1).T
