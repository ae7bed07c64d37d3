"""Published checkpoints of these learners: their tensors under the names that the methods read, and which encoder they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from likewise.backbones.encoders import encoder_tensors
from likewise.errors import WeightsError

_RESIDUAL = {4: "resnet10", 8: "resnet18", 16: "resnet34"}  # blocks
_PLAIN = {4: "conv4", 6: "conv6"}


def with_encoder(official: Mapping[str, Tensor], others: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The encoder of a checkpoint as `feature.trunk.*`, and other tensors whose names begin so, none of them twice. WeightsError without an encoder."""
    found = {f"feature.{name}": tensor for name, tensor in encoder_tensors(official).items()}
    if not found:
        raise WeightsError("there is no encoder", where="convert", remedy="Name a checkpoint of one of the published code bases")
    more = {name.removeprefix("module."): tensor for name, tensor in official.items() if name.removeprefix("module.").startswith(others)} if others else {}
    return found | {name: tensor for name, tensor in more.items() if ".trunk." not in name}


def encoder_settings(official: Mapping[str, Tensor], *, maps: bool) -> dict[str, Any]:
    """The settings by which the encoder of a checkpoint is used: its name, and the pixels of code bases of drawings.

    maps: whether the learner reads maps, which names of tensors do not tell. {} where the number of layers is that of no published encoder.
    """
    names = list(encoder_tensors(official))
    residual = sum(name.endswith(".C1.weight") for name in names)
    if residual:
        found = _RESIDUAL.get(residual, "")
        return {"encoder": found + "map" * maps} if found else {}
    convolutions = [name for name in names if name.endswith(".C.weight")]
    found = _PLAIN.get(len(convolutions), "")
    drawings = encoder_tensors(official)[convolutions[0]].shape[1] == 1 if convolutions else False
    if not found:
        return {}
    settings: dict[str, Any] = {"encoder": found + "s" * drawings + "np" * maps}
    bare = {name.removeprefix("module.").split(".")[0] for name in official}
    if drawings and "encoder" in bare:  # Snell et al. 2017
        settings |= {"pixels": "ink", "whole": True}
    if "feature_encoder" in bare:  # Sung et al. 2018, who normalise photographs by the numbers of drawings too
        settings |= {"pixels": "paper", "whole": True}
    return settings
