"""Checkpoints of EMAT: the names of the official ones, and a learner from their tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from likewise.backbones.checkpoint import filled
from likewise.errors import WeightsError
from likewise.methods.emat.model import POOLS, SIDE, Learner

PREFIX = "learner."  # of the trained tensors in a Lightning checkpoint, whose others are `backbone.*`
_FIRST = "corrtransformer.0.attn.kv.weight"
_REMEDY = "Convert the file by `likewise weights convert emat FILE OUT`, or give a file that was saved by this program"


def learner_tensors(tensors: Mapping[str, Tensor], where: str = "checkpoint") -> dict[str, Tensor]:
    """The tensors of the learner by their names in `Learner`; those of a backbone beside them are left out.

    Raises WeightsError for a checkpoint that is none of EMAT.
    """
    found = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if not name.startswith("backbone.")}
    if _FIRST not in found:
        few = ", ".join(sorted(tensors)[:3]) or "nothing"
        raise WeightsError(f"it is no checkpoint of EMAT: there is no {_FIRST} (it holds {few}, ...)", where=where, remedy=_REMEDY)
    return found


def learner_of(tensors: Mapping[str, Tensor], *, side: int = SIDE, pools: Sequence[int] = POOLS, where: str = "checkpoint") -> Learner:
    """The learner of official or own tensors, its widths and whether it has a class token taken from them, in evaluation mode and frozen.

    Raises WeightsError for tensors that are missing, unexpected or misshapen.
    """
    found = learner_tensors(tensors, where)
    widths = []
    for index in range(len(pools)):
        weight = found.get(f"corrtransformer.{index}.attn.agg.2.weight")
        widths.append(0 if weight is None or weight.ndim != 4 else weight.shape[0])
    if min(widths) < 16 or any(width % 16 for width in widths):
        raise WeightsError(f"its transformer has layers of {widths} channels, {len(pools)} layers are expected", where=where, remedy=_REMEDY)
    with_class = any(".q_cls." in name or name.startswith("decoder1_cls.") for name in found)
    with torch.device("meta"):
        learner = Learner(found[_FIRST].shape[1], side, pools, widths, with_class)
    return filled(learner, found, where, _REMEDY)
