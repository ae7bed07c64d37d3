"""Who stands in the arena: every method that learns from masks or values, with the settings it is measured under.

Methods of other packages (the entry point group `likewise.methods`, see docs/adding-a-method.md) stand in it as they are. A method that needs a checkpoint
and ships none stands in it where a file is named for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import likewise
from accuracy import Variant
from common import Cell, depth_sets
from likewise.data import LabelKind, OutputKind
from likewise.methods import available
from likewise.methods.registry import method_class
from likewise.weights import read_checkpoint

SHIPPED, TRAINED = "shipped", "trained here"
OURS = "ours; laws and worked cases tested"
GOLDEN = "official code, golden files"
ON_TOKENS = f"{GOLDEN}; on these tokens ours"
SHORT = {
    LabelKind.MASK: "masks",
    LabelKind.BOX: "boxes",
    LabelKind.POINT: "points",
    LabelKind.SCRIBBLE: "scribbles",
    LabelKind.TAG: "tags",
    LabelKind.DENSE: "values",
}


@dataclass(frozen=True)
class Contender:
    """A method as it is measured. checkpoint: "" for none, "shipped", or needed and named when measured; only: the sets it is measured on if not all."""

    variant: Variant
    verified: str
    checkpoint: str = ""
    only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in the folder and the table: METHOD[-PRESET][-WORD]."""
        variant = self.variant
        return variant.method + (f"-{variant.preset}" if variant.preset != "default" else "") + (f"-{variant.word}" if variant.word else "")

    @property
    def title(self) -> str:
        """The method with what was set, for tables."""
        told = [f"preset `{self.variant.preset}`"] * (self.variant.preset != "default") + [f"`{key}={value}`" for key, value in self.variant.settings.items()]
        return ", ".join([f"`{self.variant.method}`", *told, *(["masks of a trained segmenter"] * (self.variant.word == "trained"))])

    def takes_part(self, cell: Cell) -> bool:
        """Whether it learns what a set is labelled with, and is not kept from it by its price."""
        kinds = method_class(self.variant.method).takes
        return (LabelKind.DENSE if cell.set in depth_sets() else LabelKind.MASK) in kinds and (not self.only or cell.set in self.only)


def _settings(method: str, verified: str, word: str, only: tuple[str, ...] = (), **settings: object) -> Contender:
    return Contender(Variant(method, "default", word, settings), verified, only=only)


@dataclass(frozen=True)
class Program:
    """Another program whose rows stand beside: `benchmarks/peers` makes them in an environment of its own."""

    name: str

    @property
    def title(self) -> str:
        """Its name, in tables."""
        return f"*{self.name}* (the program itself)"


# the four simple read-outs also at the finer working size that `analogy` may choose; tau: see docs/methods/peers.md
LISTED = (
    Contender(Variant("analogy", "default"), OURS),
    Contender(Variant("analogy", "fast"), OURS),
    Contender(Variant("ridge", "default"), OURS),
    _settings("ridge", OURS, "896", side=896),
    Contender(Variant("nearest", "default"), OURS),
    _settings("nearest", OURS, "896", side=896),
    Contender(Variant("prototype", "default"), OURS),
    _settings("prototype", OURS, "896", side=896),
    Contender(Variant("attention", "default"), OURS),
    Contender(Variant("class-attention", "default"), OURS),
    Contender(Variant("proposals", "default"), OURS),
    Contender(Variant("panet", "default"), ON_TOKENS),
    Contender(Variant("insid3", "default"), ON_TOKENS),
    _settings("insid3", ON_TOKENS, "tau", tau=0.95),
    Contender(Variant("convpaint", "default"), ON_TOKENS),
    _settings("convpaint", ON_TOKENS, "even", even=True),
    _settings("convpaint", GOLDEN, "filters", features="filters"),
    Contender(Variant("persam", "default"), ON_TOKENS),
    Contender(Variant("gf-sam", "default"), ON_TOKENS),
    Contender(Variant("matcher", "default"), ON_TOKENS, only=("landmark", "objects")),  # up to minutes a picture, as published
    Contender(Variant("unlike", "default"), OURS),
    Contender(Variant("cst", "default"), GOLDEN, SHIPPED),
    Contender(Variant("vtm", "default"), GOLDEN, SHIPPED),
    Contender(Variant("label-anything", "default"), GOLDEN, TRAINED),
    Contender(Variant("mm-former", "default"), GOLDEN, TRAINED),
    Contender(Variant("proposals", "default", "trained"), OURS, TRAINED),
    *(Contender(Variant(name, "default"), GOLDEN, TRAINED) for name in ("hsnet", "asnet", "pfenet", "emat")),
)
PEERS = ("insid3", "matcher", "persam", "gf-sam", "convpaint")  # methods by which others label from a few examples without training; programs are peers too
SHOWN = ("analogy", "analogy-fast")  # ours; all others are what they are compared with


def contenders() -> tuple[Contender, ...]:
    """Those of the package, then those of other packages."""
    return (*LISTED, *strangers())


def strangers() -> Iterator[Contender]:
    """Methods that other packages register and that answer with masks or values, without a checkpoint."""
    for name, listed in available().items():
        if listed.place.startswith("likewise."):
            continue
        kinds = method_class(name)
        if not kinds.trained and kinds.gives & {OutputKind.MASKS, OutputKind.DENSE}:
            yield Contender(Variant(name, "default"), listed.place)


def learned(contender: Contender, support: likewise.Support, files: Mapping[str, str]) -> likewise.Task:
    """The task of a contender; the checkpoint of `proposals` is the segmenter of mm-former. KeyError where a file was not named."""
    variant, settings, checkpoint = contender.variant, dict(contender.variant.settings), None
    if contender.checkpoint == TRAINED:
        if variant.method == "proposals":
            settings["masks"] = files["mm-former"]
        else:
            checkpoint = files[variant.method]
    return likewise.learn(support, method=variant.method, preset=variant.preset, checkpoint=checkpoint, **settings)


def parameters(contender: Contender, files: Mapping[str, str]) -> int:
    """Learned numbers besides the backbone's."""
    if not contender.checkpoint:
        return 0
    method = contender.variant.method
    path = method_class(method).shipped()[0] if contender.checkpoint == SHIPPED else Path(files["mm-former" if method == "proposals" else method])
    tensors, _ = read_checkpoint(path)
    only = "segmenter." if method == "proposals" else ""
    return sum(tensor.numel() for name, tensor in tensors.items() if name.startswith(only) and tensor.is_floating_point() and not name.startswith("backbone."))


def takes(method: str) -> str:
    """The kinds of labels that a method learns from by itself, in words."""
    kinds = method_class(method).takes
    return ", ".join(word for kind, word in SHORT.items() if kind in kinds)
