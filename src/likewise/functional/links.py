"""How dense values become components that a linear model can fit, and back."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

Link = Literal["identity", "log", "angle", "degrees", "unit", "count"]


_BY_KIND: dict[str, Link] = {"log": "log", "angle": "angle", "unit_vector": "unit", "density": "count"}


def link_of(kind: str, unit: str = "") -> Link:
    """The link that belongs to a kind of target; "identity" for those that need none.

    >>> link_of("log"), link_of("real"), link_of("angle", "deg")
    ('log', 'identity', 'degrees')
    """
    return "degrees" if kind == "angle" and unit == "deg" else _BY_KIND.get(kind, "identity")


def encode(values: Tensor, link: Link) -> Tensor:
    """Components (..., C') of values (..., C): as they are, logarithms, sine and cosine of angles in radians or degrees, or unit vectors."""
    if link == "log":
        return values.log()
    if link == "degrees":
        return encode(values.deg2rad(), "angle")
    if link == "angle":
        return torch.cat([values.sin(), values.cos()], dim=-1)
    if link == "unit":
        return normalize(values, dim=-1)
    return values


def decode(components: Tensor, link: Link) -> Tensor:
    """The inverse of `encode`: components (..., C') -> values (..., C); counts are never below 0."""
    if link == "log":
        return components.exp()
    if link == "count":
        return components.clamp_min(0)
    if link == "degrees":
        return decode(components, "angle").rad2deg()
    if link == "angle":
        sine, cosine = components.chunk(2, dim=-1)
        return torch.atan2(sine, cosine)
    if link == "unit":
        return normalize(components, dim=-1)
    return components
