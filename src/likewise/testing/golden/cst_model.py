"""Golden files of the whole of CST on a small backbone (`cst_model_*`)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.cst import packed, tied

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.backbones.vit import VisionTransformer


@dataclass(frozen=True)
class _Taps:
    """What the backbone says of images: tokens (X, L, 1+P, D), and queries and keys (X, A, 1+P, d) of the last block."""

    tokens: Tensor
    q: Tensor
    k: Tensor


def model(case: Case) -> Mapping[str, Any]:
    """Tokens, correlations, both layers and both heads.

    The intermediate tensors come from the published form, the logits from the form that never makes the correlations.
    """
    import torch

    with torch.inference_mode():
        return _outputs(case)


def _outputs(case: Case) -> dict[str, Any]:
    import torch

    from likewise.functional.resize import resize_corners
    from likewise.layers.correlation import correlation, unit_query, unit_support
    from likewise.layers.fscs import decide, mean_over_shots
    from likewise.methods.cst.checkpoint import learner_of
    from likewise.methods.cst.model import PairSupport

    config = case.config
    batch, way, shot, side = config["batch"], config["way"], config["shot"], config["imgsize"]
    grid, wanted = (side // config["patch"],) * 2, tuple(config["query_hw"])
    weights = {name: torch.from_numpy(array) for name, array in case.weights().items()}
    network, learner = _backbone(case, weights), learner_of(weights, side=config["sptsize"])
    query = _taps(network, [f"query.{b}" for b in range(batch)], case)
    places = list(itertools.product(range(batch), range(way)))
    mine = unit_query(query.tokens[:, :, 1:].repeat_interleave(way, dim=0), config["heads"])
    logits, found = [], {}
    for k in range(shot):
        support = _taps(network, [f"support.{b}.{n}.{k}" for b, n in places], case)
        masks, pseudo = _masks(case, k, places, query, support)
        theirs = unit_support(support.tokens[:, :, 0], support.tokens[:, :, 1:], grid, config["sptsize"], config["heads"])
        hidden = learner.hidden(masks)
        logits.append(learner.pairs(mine, PairSupport(theirs, hidden), grid, tile=97))
        if k == 0:
            x = correlation(mine, theirs)
            found = {"corr_slice": x[:, :, ::37, ::13], **pseudo}
            first = learner.corrtransformer[0](x, hidden[0])
            second = learner.corrtransformer[1](first, hidden[1])
            found |= {"layer1_slice": first[:, ::3, ::11], "layer2_slice": second[:, ::5, ::11], "tokens_slice": learner.linear(second)[:, ::5, ::11]}
    classes = torch.stack([cls.reshape(batch, way, 2) for cls, _ in logits])
    raw = torch.stack([seg.reshape(batch, way, *seg.shape[1:]) for _, seg in logits])
    full = resize_corners(raw, wanted)
    answer = decide(mean_over_shots(classes), mean_over_shots(full))
    return found | {
        "logits_cls": classes[0],
        "logits_seg_raw": raw[0].flatten(0, 1)[:, :, ::2, ::2],
        "logits_seg_slice": full[0][..., ::5, ::5],
        "logits_seg_train_slice": resize_corners(raw[0], (side, side))[..., ::5, ::5],
        "backbone_first_slice": query.tokens[:, 0, ::17],
        "backbone_last_slice": query.tokens[:, -1, ::17],
        "pred_cls": answer.present,
        "pred_seg_slice": tied(answer.labels[:, ::3, ::3], case.expected["pred_seg_slice"]),
    }


def _backbone(case: Case, weights: Mapping[str, Tensor]) -> VisionTransformer:
    from likewise.backbones import from_tensors
    from likewise.backbones.vit import VitConfig

    config = case.config
    shape = VitConfig(
        width=config["dim"],
        depth=config["depth"],
        heads=config["heads"],
        patch=config["patch"],
        grid=config["pretrain_size"] // config["patch"],
        layer_scale=False,
        mlp_ratio=weights["backbone.blocks.0.mlp.fc1.weight"].shape[0] // config["dim"],
        position_rule="factor",
    )
    prefix = "backbone."
    return from_tensors(case.name, "", shape, {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}).network


def _taps(network: VisionTransformer, names: list[str], case: Case) -> _Taps:
    import torch

    from likewise.backbones.vit import IMAGENET_MEAN, IMAGENET_STD

    side = case.config["imgsize"]
    pixels = torch.from_numpy(np.stack([seeded.image(name, side, side, case.seed) for name in names])).float() / 255
    images = ((pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).permute(0, 3, 1, 2)
    *layers, q, k = network(images, (), facets=("q", "k"))
    return _Taps(torch.stack(layers, dim=1), q, k)


def _masks(case: Case, shot: int, places: list[tuple[int, int]], query: _Taps, support: _Taps) -> tuple[Tensor, dict[str, Any]]:
    """The support masks (X, H, W), and the verdicts on pseudo masks where the case asks for those."""
    import torch

    from likewise.methods.cst.pseudo import head_cosines, pseudo_masks

    config, side = case.config, case.config["imgsize"]
    if config["sup"] == "mask":
        planes = [seeded.image(f"mask.{b}.{n}.{shot}", side, side, case.seed)[..., 0].astype(np.float32) for b, n in places]
        above = [(plane > np.quantile(plane, 1 - config["mask_fraction"])) * (n + 1.0) for plane, (_, n) in zip(planes, places, strict=True)]
        return torch.from_numpy(np.stack(above)).float(), {}
    cells, class_query = side // config["patch"], support.q[:, :, 0]
    keys = {"support": support.k, "query": query.k.repeat_interleave(config["way"], dim=0)}
    maps = {name: head_cosines(class_query, k[:, :, 1:]).mean(dim=1).reshape(-1, cells, cells) for name, k in keys.items()}
    own = pseudo_masks(maps["support"], (side, side), config["thr"])
    present = torch.tensor(config["presence"], dtype=torch.bool).reshape(-1, 1, 1)
    other = pseudo_masks(maps["query"], tuple(config["query_hw"]), config["thr"]) & present
    verdicts = {"pseudo_support": own, "pseudo_query": other}
    return own.float(), {name: packed(mask, case.expected[name]) for name, mask in verdicts.items() if name in case.expected}
