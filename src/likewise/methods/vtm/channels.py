"""The channels of a support: every class and every component of a target as a task of its own, with labels in 0..1, and back.

A class is a channel of 0 and 1. A target becomes components first (`functional.links`: logarithms, sine and cosine, unit
vectors), each then stretched from its range to 0..1: angles and unit vectors from -1..1, vectors from their largest
length, densities and heat maps from 0, all others from what the support holds, widened by a margin since a query may
hold more. A density is the count of an image that is everywhere like the pixel, so that images of any size count alike. A
component that is constant in the support is answered by that constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data import LabelledImage, Labels, Support, Target
from likewise.data.geometry import area_resize
from likewise.errors import InputError
from likewise.functional.links import Link, encode, link_of

KNOWN_FROM = 0.5  # share of a pixel of the view that must be known for its mean to count
_WHOLE = {"soft_mask", "heatmap"}  # kinds whose values are in 0..1 as they are


@dataclass(frozen=True)
class Component:
    """One component of a target: its range, which becomes 0..1."""

    target: str
    place: int
    low: float
    high: float


@dataclass(frozen=True)
class Channels:
    """Classes that the support shows, by number, then components of targets; `categorical` (C,) bool says which is which."""

    classes: tuple[int, ...]
    components: tuple[Component, ...]
    links: Mapping[str, Link]

    def __len__(self) -> int:
        return len(self.classes) + len(self.components)

    @property
    def categorical(self) -> Tensor:
        """Which channels are classes: (C,) bool."""
        return torch.arange(len(self)) < len(self.classes)

    def facts(self) -> dict[str, Any]:
        """This, JSON-able."""
        parts = [[part.target, part.place, part.low, part.high] for part in self.components]
        return {"classes": list(self.classes), "components": parts, "links": dict(self.links)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Channels:
        """The inverse of `facts`."""
        return cls(tuple(facts["classes"]), tuple(Component(*part) for part in facts["components"]), dict(facts["links"]))

    def values(self, probabilities: Tensor, pixels: int) -> dict[str, Tensor]:
        """Components (C', h, w) of each target, of the probabilities (C, h, w) of all channels, for an image of so many pixels."""
        found: dict[str, list[Tensor]] = {}
        for plane, part in zip(probabilities[len(self.classes) :], self.components, strict=True):
            share = pixels if self.links[part.target] == "count" else 1
            found.setdefault(part.target, []).append((part.low + plane * (part.high - part.low)) / share)
        return {name: torch.stack(planes) for name, planes in found.items()}

    def of_targets(self, targets: Sequence[str]) -> list[int]:
        """Places of the components of some targets among all channels."""
        return [len(self.classes) + place for place, part in enumerate(self.components) if part.target in targets]


@dataclass(frozen=True)
class Planes:
    """The labels of an example at the size of its view: values and known (C, h, w), 0 where it does not say."""

    values: Tensor
    known: Tensor


def channels_of(support: Support, margin: float) -> Channels:
    """The channels of a support. Raises InputError for targets without any known value."""
    components: list[Component] = []
    for name, target in support.targets.items():
        rows = np.concatenate(
            [_known_rows(_counted(example.labels, name, link_of(target.kind))) for example in support.examples if name in example.labels.dense]
        )
        if not len(rows):
            raise InputError(f"every value of {name!r} is unknown", where="support", remedy="Give known values, or leave the target out")
        components += [Component(name, place, low, high) for place, (low, high) in enumerate(_ranges(target, rows, margin))]
    classes = tuple(number for number in support.classes if support.showing(number))
    return Channels(classes, tuple(components), {name: link_of(target.kind, target.unit) for name, target in support.targets.items()})


def planes_of(example: LabelledImage, channels: Channels, size: tuple[int, int], coarse: tuple[Tensor, Tensor] | None = None) -> Planes:
    """An example's labels for all channels at the (height, width) of its view.

    coarse: for classes that are not drawn, shares (N, h, w) of the classes of `channels` and their weight (h, w).
    """
    values, known = torch.zeros(len(channels), *size), torch.zeros(len(channels), *size)
    count = len(channels.classes)
    if coarse is not None and example.labels.label_map is None:
        values[:count], known[:count] = coarse[0], (coarse[1] > 0).float()
    else:
        for place, number in enumerate(channels.classes):
            values[place], known[place] = _of_class(example.labels, number, size)
    for name, link in channels.links.items():
        if name in example.labels.dense:
            places = channels.of_targets([name])
            values[places], known[places] = _of_target(_counted(example.labels, name, link), link, [channels.components[p - count] for p in places], size)
    return Planes(values, known)


def _of_class(labels: Labels, number: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where a class is and where that is known: (h, w) of 0 and 1 each."""
    if labels.label_map is None:
        nothing_there = labels.present(number) is False
        return torch.zeros(size), torch.full(size, float(nothing_there))
    mask = labels.mask(number)
    seen = labels.label_map > 0 if labels.unlabelled == "unknown" else labels.label_map >= 0
    share, known = (torch.from_numpy(area_resize(plane, size)) for plane in (mask & (seen | mask), seen | mask))
    return (share >= known.clamp_min(1e-6) / 2).float(), (known >= KNOWN_FROM).float()


def _of_target(values: NDArray[np.float32], link: Link, parts: Sequence[Component], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Components stretched to 0..1 and where they are known: (C', h, w), (h, w)."""
    finite = np.asarray(np.isfinite(values).all(axis=2))
    encoded = encode(torch.from_numpy(np.where(finite[:, :, None], values, 1).astype(np.float32)), link).numpy()
    share = area_resize(finite, size)
    planes = []
    for part in parts:
        mean = area_resize(np.where(finite, encoded[:, :, part.place], 0), size) / np.maximum(share, 1e-6)
        span = part.high - part.low
        planes.append(np.clip((mean - part.low) / span, 0, 1) if span > 0 else np.full(size, 0.5))
    known = share >= KNOWN_FROM
    return torch.from_numpy(np.stack(planes).astype(np.float32)) * torch.from_numpy(known), torch.from_numpy(known.astype(np.float32))


def _counted(labels: Labels, name: str, link: Link) -> NDArray[np.float32]:
    """The values (H, W, C) of a target; of a density what the image would hold."""
    return labels.dense[name] * np.float32(labels.size[0] * labels.size[1] if link == "count" else 1)


def _known_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[np.isfinite(values).all(axis=2)]


def _ranges(target: Target, rows: NDArray[np.float32], margin: float) -> list[tuple[float, float]]:
    """The range of every component of a target whose known values are rows (R, C)."""
    link = link_of(target.kind, target.unit)
    encoded = encode(torch.from_numpy(rows), link).numpy()
    if link in ("angle", "degrees", "unit"):
        return [(-1.0, 1.0)] * encoded.shape[1]
    if target.kind == "vector":
        longest = float(np.linalg.norm(encoded, axis=1).max())
        return [(-longest, longest)] * encoded.shape[1]
    if target.kind in _WHOLE and rows.min() >= 0 and rows.max() <= 1:
        return [(0.0, 1.0)] * encoded.shape[1]
    if target.range is not None and (link == "identity" or target.range[0] > 0):
        low, high = (float(encode(torch.tensor([bound]), link)) for bound in target.range)
        return [(low, high)] * encoded.shape[1]
    return [_widened(encoded[:, place], margin, from_zero=target.kind in ("density", "heatmap")) for place in range(encoded.shape[1])]


def _widened(values: NDArray[np.float32], margin: float, *, from_zero: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if np.allclose(low, high, rtol=1e-6, atol=0):  # the same everywhere, but for what rounding did
        return low, low
    wider = margin * (high - low)
    return (min(0.0, low) if from_zero else low - wider), high + wider
