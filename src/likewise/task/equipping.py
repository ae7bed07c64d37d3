"""A method made ready: its settings, its checkpoint, and the backbone that goes with it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from likewise.backbones import Backbone
from likewise.errors import WeightsError
from likewise.methods.base import Method, Preset
from likewise.methods.registry import method_class
from likewise.task.learning import make_method
from likewise.weights import Card, find_checkpoint, note_checkpoint, read_card, read_checkpoint, resolve


@dataclass(frozen=True)
class Equipped:
    """A method with its checkpoint.

    weights: what a manifest says of the checkpoint, {"checkpoint": {"name", "sha256"}}, {} for none; backbone: the name to open;
    card: what the checkpoint says of itself, None without any.
    """

    method: Method
    weights: Mapping[str, Mapping[str, str]]
    backbone: str
    card: Card | None = None

    def check(self, backbone: Backbone) -> None:
        """WeightsError where the checkpoint was trained on another backbone than this."""
        if self.card is not None:
            _check_backbone(self.card, backbone.name, backbone.sha256, self.weights["checkpoint"]["name"])


def equip(name: str, preset: Preset, settings: Mapping[str, Any], checkpoint: str | Path | None = None, backbone: str = "auto") -> Equipped:
    """A method of a preset with its checkpoint, and the backbone to open.

    settings: what the user sets, over what the checkpoint says of itself, over the preset; checkpoint: a safetensors file, a folder
    that `save_pretrained` wrote, "random" for untrained tensors, or None, which takes the weights that come with this program where
    there are any for the backbone. The backbone "auto" becomes that of the checkpoint, "none" for one that brings its network and for methods that read none.
    Raises UsageError for unknown names and for a method without checkpoints, WeightsError where one is needed and not there, of another
    method, or for another backbone.
    """
    method = make_method(name, preset, settings)
    if not method.trained and (checkpoint is None or not method.optional_checkpoint):
        return Equipped(method if checkpoint is None else method.equipped({}), {}, _needed(method, backbone))  # `equipped` says that there is nothing to load
    if str(checkpoint) == "random":
        return Equipped(method.equipped(None), {"checkpoint": {"name": "random", "sha256": ""}}, backbone)
    path = _shipped(name, backbone) if checkpoint is None else Path(checkpoint)
    path = path / "model.safetensors" if path.is_dir() else path
    tensors, digest = read_checkpoint(path)
    card = read_card(path)
    if card is not None:
        _check_card(card, name, method, path)
        method = make_method(name, preset, {**card.settings, **settings})
        backbone = card.backbone.get("name", backbone) if backbone == "auto" else backbone
        _check_backbone(card, backbone, "", path.name)
    if not method.keeps_checkpoint:
        note_checkpoint(path, digest)
    ready = method.equipped(tensors)
    return Equipped(ready, {"checkpoint": {"name": path.name, "sha256": digest}}, _needed(ready, backbone), card)


def equipped_again(method: Method, roles: Mapping[str, Mapping[str, str]]) -> Method:
    """The method of a loaded task with its checkpoint, where that is not in the task's memory; WeightsError where it is not found."""
    if not method.trained or method.keeps_checkpoint:
        return method
    facts = roles["checkpoint"]
    if facts["name"] == "random":
        return method.equipped(None)
    tensors, _ = read_checkpoint(find_checkpoint(facts["name"], facts["sha256"], method.shipped()))
    return method.equipped(tensors)


def _needed(method: Method, backbone: str) -> str:
    return "none" if backbone == "auto" and not method.reads_backbone() else backbone


def _check_card(card: Card, name: str, method: Method, path: Path) -> None:
    if card.method != name:
        raise WeightsError(f"it is a checkpoint of the method {card.method!r}, not of {name!r}", where=str(path), remedy=f"Choose the method {card.method!r}")
    unknown = card.settings.keys() - {item.name for item in fields(method.settings)}
    if unknown:
        raise WeightsError(
            f"it must be used with settings that are not known here ({', '.join(sorted(unknown))})", where=str(path), remedy="Update this program"
        )


def shipped_for(name: str, backbone: str = "auto") -> Path | None:
    """The checkpoint that comes with this program for a method on a backbone; None where there is none."""
    found = _all_shipped(name)
    return found.get(resolve(backbone)) if found else None


def _shipped(name: str, backbone: str) -> Path:
    """What `shipped_for` gives, and a warning that says so; WeightsError where there is none."""
    path = shipped_for(name, backbone)
    if path is None:
        others = ", ".join(_all_shipped(name))
        told = f" on the backbone {backbone!r} (those on {others} come with this program)" if others else ""
        remedy = f"Give a file (`likewise weights convert {name}` makes one of a published checkpoint), or 'random' to try it untrained"
        raise WeightsError(f"the method {name!r} needs trained weights{told}", where="checkpoint", remedy=remedy)
    warnings.warn(f"no checkpoint is given: {name} takes {path.stem}, which comes with this program (its page says what it was trained on)", stacklevel=3)
    return path


def _all_shipped(name: str) -> dict[str, Path]:
    """The checkpoints that come with this program for a method, by the name of their backbone."""
    return {card.backbone.get("name", ""): path for path in method_class(name).shipped() if (card := read_card(path)) is not None}


def _check_backbone(card: Card, name: str, sha256: str, where: str) -> None:
    """WeightsError for a backbone of another name or, where both hashes are known, of other weights."""
    own, hashed = card.backbone.get("name", name), card.backbone.get("sha256", sha256)
    if own != name or (sha256 and hashed != sha256):
        told = f"{own!r}, not on {name!r}" if own != name else f"{own!r} with sha256 {hashed[:12]}, here it has {sha256[:12]}"
        raise WeightsError(
            f"the checkpoint was trained on the backbone {told}", where=where, remedy=f"Take the backbone {own!r}, or a checkpoint that was trained on yours"
        )
