"""Checkpoints of PFENet: the original layout, that of few-shot classification and segmentation (iFSL), and ours.

Ours holds `learner.*` with the original names, and `backbone.*` where the network is not the program's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from likewise.backbones.resnet import ResNet
from likewise.backbones.resnet_weights import resnet_of
from likewise.errors import WeightsError
from likewise.methods.pfenet.model import PfenetLearner, learner_like
from likewise.methods.pyramid_weights import BACKBONE, LEARNER, learner_of, official, part

_STEM = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4, "conv3": 6, "bn3": 7}  # of a network alone, with one convolution or three, by its place in layer0
_PLACES = (  # of the published names; what fits none of them is of the original's learner
    (r"^backbone0\.", f"{BACKBONE}layer0."),
    (r"^backbone([1-4])\.", rf"{BACKBONE}layer\1."),
    (r"^(layer[0-4])\.", rf"{BACKBONE}\1."),
    (r"^down_qry\.", f"{LEARNER}down_query."),
    (r"^down_spt\.", f"{LEARNER}down_supp."),
    (r"^(backbone|learner)\.", r"\1."),
    (r"^(?=down_|init_merge|alpha_conv|beta_conv|inner_cls|res1|res2|cls\.)", LEARNER),
)


def renamed(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published checkpoint by our names, without counters and classifier; a network alone, with its classifier or not, is a start for a training."""
    plain = {name.removeprefix("module."): tensor for name, tensor in published.items() if not name.endswith("num_batches_tracked")}
    own = {_place(name): tensor for name, tensor in plain.items() if not name.startswith("fc.")}
    return official(own)


def is_original(published: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint is that of the original code, which segments one class that is there."""
    return any(name.removeprefix("module.").startswith("down_query.") for name in published)


def learner_in(tensors: Mapping[str, Tensor]) -> PfenetLearner:
    """The learner of a checkpoint; WeightsError where the tensors do not fit."""
    return learner_of(tensors, learner_like, "PFENet", "pfenet")


def network_of(tensors: Mapping[str, Tensor]) -> ResNet | None:
    """The network of a checkpoint, dilated as PFENet has it, None where it has none; WeightsError for one that does not fit."""
    own = part(tensors, BACKBONE)
    if not own:
        return None
    network = resnet_of(own, output_stride=8, dilate_first=True)
    channels = sum(network.config.channels[1:3])
    if LEARNER + "down_query.0.weight" in tensors and (wanted := tensors[LEARNER + "down_query.0.weight"].shape[1]) != channels:
        raise WeightsError(f"its learner reads {wanted} channels, its network gives {channels}", where="checkpoint", remedy="Take both from one training")
    return network


def _place(name: str) -> str:
    first, _, rest = name.partition(".")
    if first in _STEM:
        return f"{BACKBONE}layer0.{_STEM[first]}.{rest}"
    for pattern, ours in _PLACES:
        found, count = re.subn(pattern, ours, name)
        if count:
            return found
    return name
