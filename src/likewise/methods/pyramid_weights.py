"""Checkpoints of methods that learn on a pyramid of correlations: a learner, and the network (ResNet, VGG-16) it was trained on if it has its own.

Ours hold `learner.*` and `backbone.*`, both by their official names; a checkpoint that was trained on tokens of the program has no backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import Tensor, nn

from likewise.backbones.checkpoint import filled
from likewise.backbones.resnet import ResNet
from likewise.backbones.resnet_weights import resnet_of
from likewise.backbones.vgg import Vgg16, vgg_of
from likewise.errors import WeightsError

BACKBONE, LEARNER = "backbone.", "learner."
_CLASSIFIERS = (f"{BACKBONE}fc.", f"{BACKBONE}classifier.")
_PARALLEL = "module."  # what a network that was trained on several devices puts before all its names
_Learner = TypeVar("_Learner", bound=nn.Module)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def official(tensors: Mapping[str, Tensor], learner_prefix: str = LEARNER) -> dict[str, Tensor]:
    """A published checkpoint by our names: what the prefix of its learner and of several devices is is taken away, classifier and counters left out.

    A network alone, by the names of torchvision, becomes a checkpoint without a learner, to begin a training from.
    """
    plain = {name.removeprefix(_PARALLEL): tensor for name, tensor in tensors.items()}
    if "layer1.0.conv1.weight" in plain or "features.0.weight" in plain:
        plain = {BACKBONE + name: tensor for name, tensor in plain.items()}
    found = {}
    for name, tensor in plain.items():
        if name.startswith(learner_prefix):
            found[LEARNER + name.removeprefix(learner_prefix)] = tensor
        elif not name.endswith("num_batches_tracked") and not name.startswith(_CLASSIFIERS):
            found[name] = tensor
    return found


def learner_of(tensors: Mapping[str, Tensor], like: Callable[[Mapping[str, Tensor]], _Learner], title: str, verb: str) -> _Learner:
    """The learner of a checkpoint in evaluation mode, frozen. WeightsError for tensors that are missing, unexpected or misshapen.

    like: makes one of the sizes of given tensors; title, verb: what the method is called, in words and in commands.
    """
    own, foreign = part(tensors, LEARNER), sorted(name for name in tensors if not name.startswith((LEARNER, BACKBONE)))
    if foreign:
        raise WeightsError(f"it holds {', '.join(foreign[:3])}, which are none of {title}", where="checkpoint", remedy=_remedy(verb))
    if not own and part(tensors, BACKBONE):
        raise WeightsError("it holds a network alone, no learner", where="checkpoint", remedy=f"Train one from it: `start` in a recipe of recipes/{verb}")
    try:
        learner = like(own)
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(f"it is no checkpoint of {title}, or not whole ({error})", where="checkpoint", remedy=_remedy(verb)) from error
    return filled(learner, own)


def backbone_of(tensors: Mapping[str, Tensor]) -> ResNet | Vgg16 | None:
    """The network of a checkpoint, None where it has none; WeightsError for one that does not fit."""
    own = part(tensors, BACKBONE)
    if not own:
        return None
    return vgg_of(own) if any(name.startswith("features.") for name in own) else resnet_of(own)


def _remedy(verb: str) -> str:
    return f"Convert a published one by `likewise weights convert {verb} FILE OUT`, or train one"
