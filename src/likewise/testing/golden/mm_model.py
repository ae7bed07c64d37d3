"""Golden files of whole networks of MM-Former: segmenter, system, and a step of training."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from likewise.testing.golden.case import Case
from likewise.testing.golden.mm import given, normalised, stat, weights
from likewise.testing.golden.roundings import Unsettled

_LAST_BITS = 1e-4  # of 1: a rounding of it is then more than a thousandth of what the gradient is divided by
_ROUNDED = "the worst proposal has the highest cosine, and its gradient is what rounding leaves of 1 - 1"

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.backbones.resnet import ResNet
    from likewise.methods.mm_former.model import MaskMatcher


def system(case: Case) -> tuple[ResNet, MaskMatcher]:
    """Backbone, segmenter and matching of a case."""
    from likewise.methods.mm_former.checkpoint import backbone_of, converted, matcher_of

    tensors = converted(weights(case))
    backbone = backbone_of(tensors)
    assert backbone is not None
    own = case.config
    same = str(own["architecture"]).endswith("_svf")
    return backbone, matcher_of(tensors, heads=own["heads"], matching_heads=own["cross_heads"], same_size=same)


def stacked(case: Case, names: list[str]) -> Tensor:
    """Several images as one batch, normalised and padded."""
    import torch

    return normalised(torch.cat([given(case, name) for name in names]))


def binary(labels: Tensor) -> Tensor:
    """Labels of 0 and 1 where 255 is background."""
    import torch

    return torch.where(labels == 255, 0, labels).float()


def _queries(case: Case) -> list[str]:
    return sorted(name for name in case.meta["inputs"] if name.startswith("query."))


def segmented(case: Case) -> Mapping[str, Any]:
    """Proposals of a whole segmenter, and the choice of the oracle."""
    import torch
    from torch.nn.functional import interpolate

    from likewise.methods.mm_former.objective import soft_iou

    with torch.inference_mode():
        backbone, module = system(case)
        image = stacked(case, _queries(case))
        logits = module.segmented(backbone(image)[1:])
        label = binary(given(case, "label"))[None]
        quality = soft_iou(logits.sigmoid(), label)
        order = quality.argsort(dim=1, descending=True)
        enlarged = interpolate(logits.sigmoid(), size=label.shape[-2:], mode="bilinear", align_corners=False)
        second = enlarged[torch.arange(len(order)), order[:, 1]]
    return {"masks": logits[..., ::2, ::2], "soft_iou": quality, "second_best": second[..., ::2, ::2], "order": order[:, :3]}


def model(case: Case) -> Mapping[str, Any]:
    """The whole system, images to the foreground."""
    import torch

    queries = _queries(case)
    masks_step, foreground_step = (int(found) for found in re.findall(r"every (\d+)", case.meta["notes"])[:2])
    with torch.inference_mode():
        backbone, module = system(case)
        images = stacked(case, queries)
        view = module.viewed(backbone(images)[1:])
        labels = binary(given(case, "support_labels"))
        shots = []
        for shot in range(case.config["shots"]):
            support = stacked(case, [f"support.{index}.{shot}" for index in range(len(queries))])
            shots.append(module.shown(backbone(support)[1:], labels[:, shot]))
        found = module.answered(view, shots, images.shape[-2:], official=True)
        first = module.answered(view, shots[:1], images.shape[-2:], official=True).prototype
    step = first.shape[1] // case.expected["support_prototype_shot0"].shape[1]
    return {
        "masks": view.proposals[..., ::masks_step, ::masks_step],
        "similarity": found.similarity,
        "coefficients": found.coefficients,
        "foreground": found.foreground[..., ::foreground_step, ::foreground_step],
        "foreground_stat": stat(found.foreground),
        "support_prototype_shot0": first[:, ::step],
    }


def training(case: Case) -> Mapping[str, Any]:
    """Losses and gradients of the second stage; where running statistics are expected, norms are in training mode.

    The gradient of the contrast depends on the last bits of the cosines wherever the worst proposal has the highest of them (its
    spread cosine is then 1 less some rounding, and is drawn to 0); so this runs as the published code does, on the factors and by one thread,
    and its outputs are `Unsettled` there.
    """
    with _one_thread():
        return _trained(case)


def _trained(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.layers.singular import factorise
    from likewise.methods.mm_former.matching import View
    from likewise.methods.mm_former.objective import contrast, few_shot_dice, soft_iou

    backbone, module = system(case)
    factorise(backbone, weights(case))
    if any(name.startswith("running_") for name in case.expected):
        backbone.train()
    module.matching.requires_grad_(True)
    queries, own = _queries(case), case.config
    images = stacked(case, queries)
    labels, support_labels = binary(given(case, "labels")), binary(given(case, "support_labels"))
    with torch.no_grad():
        maps = backbone(images)[1:]
        supports = [backbone(stacked(case, [f"support.{index}.{shot}" for index in range(len(queries))]))[1:] for shot in range(own["shots"])]
        proposals = module.segmented(maps).sigmoid()
    view = View(module.matching.query_sides(module.matching.reduced(maps[:0:-1])), proposals)
    shots = [module.shown(support, support_labels[:, shot]) for shot, support in enumerate(supports)]
    found = module.answered(view, shots, images.shape[-2:], official=True)
    quality = soft_iou(proposals, labels)
    dice = own["few_shot_weight"] * few_shot_dice(found.foreground, labels, official=True)
    apart, pair = contrast(found.similarity, quality)
    apart = own["co_weight"] * apart
    (dice + apart).backward()
    named = dict(module.matching.named_parameters())
    outputs: dict[str, Any] = {
        "fewshot_loss": dice,
        "co_loss": apart,
        "soft_iou": quality,
        "similarity": found.similarity,
        "pair": pair,
        "grad_norms": torch.stack([torch.zeros(()) if (grad := named[name].grad) is None else grad.norm() for name in own["gradient_names"]]),
        "grad_fc1_weight": _gradient(named["fc1.weight"])[::5],
        "grad_conv_0_weight": _gradient(named["conv_0.weight"])[::8, ::32].flatten(1) * 100,
    }
    statistics = dict(backbone.named_buffers())
    for name in case.expected:
        kind, _, where = name.partition(".")
        if kind in ("running_mean", "running_var", "tracked"):
            outputs[name] = statistics[f"{where}.{'num_batches_tracked' if kind == 'tracked' else kind}"]
    return Unsettled(outputs, _ROUNDED) if bool((pair[:, 0] > 1 - _LAST_BITS).any()) else outputs


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
