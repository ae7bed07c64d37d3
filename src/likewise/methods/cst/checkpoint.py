"""Checkpoints of CST: the names of the official ones, and a learner from their tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from likewise.backbones.checkpoint import filled
from likewise.errors import WeightsError
from likewise.methods.cst.enhancer import MaskEnhancer
from likewise.methods.cst.model import Learner
from likewise.methods.cst.pooled import EXTRACTOR

ENHANCER = "enhancer."  # of the tensors of a mask enhancer, in checkpoints of ours
PREFIX = "learner."  # of the trained tensors in a Lightning checkpoint, whose others are `backbone.*`
_FIRST = "corrtransformer.0.attn.qkv.weight"
_REMEDY = "Convert the file by `likewise weights convert cst FILE OUT`, or give a file that was saved by this program"


def learner_tensors(tensors: Mapping[str, Tensor], where: str = "checkpoint") -> dict[str, Tensor]:
    """The tensors of the learner by their names in `Learner`; those of other networks beside them are left out.

    Raises WeightsError for a checkpoint that is none of CST.
    """
    found = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if not name.startswith(("backbone.", ENHANCER, EXTRACTOR))}
    if not found and any(name.startswith(EXTRACTOR) for name in tensors):
        remedy = "Train one from it: method.pseudo=pooled method.start=FILE behind a recipe of recipes/cst"
        raise WeightsError("it holds a ResNet for pseudo masks alone, no learner", where=where, remedy=remedy)
    if _FIRST not in found:
        few = ", ".join(sorted(tensors)[:3]) or "nothing"
        raise WeightsError(f"it is no checkpoint of CST: there is no {_FIRST} (it holds {few}, ...)", where=where, remedy=_REMEDY)
    return found


def learner_of(tensors: Mapping[str, Tensor], *, side: int = 12, kernels: tuple[int, ...] = (4, 3), where: str = "checkpoint") -> Learner:
    """The learner of official or own tensors, its sizes taken from them, in evaluation mode and frozen.

    Raises WeightsError for tensors that are missing, unexpected or misshapen.
    """
    found = learner_tensors(tensors, where)
    widths = []
    for index in range(len(kernels)):
        weight = found.get(f"corrtransformer.{index}.attn.agg.2.weight")
        widths.append(0 if weight is None else weight.shape[0])
    channels, coupled = found[_FIRST].shape[1], not any(name.startswith("decoder1_cls.") for name in found)
    if min(widths) < 8 or any(width % 16 for width in widths):
        raise WeightsError(f"its transformer has layers of {widths} channels, {len(kernels)} layers are expected", where=where, remedy=_REMEDY)
    with torch.device("meta"):
        learner = Learner(channels, side, kernels, tuple(widths), coupled)
    return filled(learner, found, where, _REMEDY)


def enhancer_of(tensors: Mapping[str, Tensor]) -> MaskEnhancer | None:
    """The mask enhancer of a checkpoint, None where it has none; WeightsError for tensors that do not fit."""
    found = {name.removeprefix(ENHANCER): tensor.float() for name, tensor in tensors.items() if name.startswith(ENHANCER)}
    if not found:
        return None
    try:
        width, heads = found["layers.0.weight"].shape[:2]
        with torch.device("meta"):
            enhancer = MaskEnhancer(heads, width).requires_grad_(False)
        enhancer.load_state_dict(found, assign=True)
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsError("its mask enhancer has tensors that do not fit", where="checkpoint", remedy=_REMEDY) from error
    return enhancer.eval()
