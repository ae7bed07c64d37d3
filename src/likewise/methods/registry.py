"""Every method by name: a table to read from top to bottom. Methods of others join by the entry point group "likewise.methods"."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError, UsageError, close_match

if TYPE_CHECKING:
    from likewise.methods.base import Method


@dataclass(frozen=True)
class Listed:
    """A row of the table: where the class is, what it does in a line, and the paper behind it."""

    name: str
    place: str
    line: str
    paper: str


TABLE = (
    Listed(
        "analogy",
        "likewise.methods.analogy:Analogy",
        "read-outs of patch tokens and of the picture, chosen by left-out prediction",
        "ours; features of Oquab et al. 2023",
    ),
    Listed("ridge", "likewise.methods.ridge:RidgeBaseline", "ridge regression on the last layer's tokens, nothing tuned", "Hoerl and Kennard 1970"),
    Listed("prototype", "likewise.methods.prototype:Prototype", "cosine to the mean token of each class", "Snell et al. 2017; Wang et al. 2019"),
    Listed("nearest", "likewise.methods.nearest:Nearest", "the class of the most similar support tokens", "Cover and Hart 1967"),
    Listed(
        "cst",
        "likewise.methods.cst:Cst",
        "a trained transformer over the correlations of tokens, masks or tags as support; needs a checkpoint",
        "Kang et al. 2023",
    ),
    Listed(
        "vtm",
        "likewise.methods.vtm:VisualTokenMatching",
        "dense values and classes by matching tokens of images and labels at four levels, biases tuned on request; needs a checkpoint",
        "Kim et al. 2023 (VTM)",
    ),
    Listed("attention", "likewise.methods.attention:Attention", "labels of the support averaged by softmax of similarity", "Vinyals et al. 2016"),
)


def available() -> dict[str, Listed]:
    """Every method by name, ours first, then those of installed packages. LikewiseError if a name is claimed twice."""
    found: dict[str, Listed] = {}
    others = (
        Listed(point.name, point.value, "", f"package {point.dist.name if point.dist else point.value}") for point in entry_points(group="likewise.methods")
    )
    for row in (*TABLE, *others):
        if row.name in found:
            raise LikewiseError(
                f"two methods are called {row.name!r}", where=f"{found[row.name].place} and {row.place}", remedy="Uninstall or rename one of them"
            )
        found[row.name] = row
    return found


def method_class(name: str) -> type[Method]:
    """The class of a method; UsageError with the closest match for an unknown name."""
    rows = available()
    if name not in rows:
        raise UsageError(f"there is no method {name!r}", where="method", remedy=close_match(name, rows))
    module, _, attribute = rows[name].place.partition(":")
    return getattr(importlib.import_module(module), attribute)
