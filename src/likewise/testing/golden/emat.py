"""Golden files of EMAT (`peer_emat_*`): tokens, the learner, the whole of it on a seeded ViT-S/14, augmented episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.cst import tied

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.backbones.vit import VisionTransformer
    from likewise.methods.emat.model import Learner


def emat(case: Case) -> Mapping[str, Any]:
    """What the settings of the case ask for."""
    import torch

    if "setting" in case.config:
        return _augmented(case)
    run = _tokens if "head_dim" in case.config else _learner if "query_side" in case.config else _model
    with torch.inference_mode():
        return run(case)


def _tokens(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.layers.correlation import correlation, unit_query, unit_support

    config = case.config
    side, heads, layers = config["side"], config["heads"], config["layers"]

    def images(name: str, count: int) -> Tensor:
        shape = (count, 1 + side * side, heads * config["head_dim"])
        return torch.stack([torch.from_numpy(seeded.uniform(f"{name}.{layer}", shape, case.seed)) for layer in range(layers)], dim=1)

    query, support = images("query", config["batch"]), images("support", config["batch"] * config["way"])
    mine = unit_query(query[:, :, 1:].repeat_interleave(config["way"], dim=0), heads)
    theirs = unit_support(support[:, :, 0], support[:, :, 1:], (side, side), config["support_side"], heads)
    return {"tokens_slice": correlation(mine, theirs if config["fs_cs"] else theirs[..., 1:, :])[:, ::5, ::6, ::9]}


def _learner(case: Case) -> Mapping[str, Any]:
    import torch

    config, learner = case.config, _opened(case)
    batch, side = config["batch"], config["query_side"]
    x = torch.from_numpy(seeded.uniform("tokens", (batch, learner.channels, side * side, learner.tokens), case.seed))
    fractions = zip(range(batch), config["mask_fractions"], strict=True)
    masks = torch.from_numpy(np.stack([_blob(f"mask.{b}", config["image_size"], fraction, b + 1, case.seed) for b, fraction in fractions]))
    hidden = learner.hidden(masks)
    kept = [(~part).sum(dim=1).tolist() for part in hidden]
    assert kept == case.meta.get("kept_tokens", kept), f"support tokens under the masks: {kept}"
    return _layers(learner, x, hidden) | _named(case, *learner(x, hidden, (side, side)))


def _layers(learner: Learner, x: Tensor, hidden: tuple[Tensor, ...]) -> dict[str, Any]:
    first = learner.corrtransformer[0](x, hidden[0])
    second = learner.corrtransformer[1](first, hidden[1])
    return {"layer1_slice": first[:, ::5, ::5, ::7], "layer2_slice": second[:, ::3, ::5]}


def _named(case: Case, classes: Tensor, masks: Tensor) -> dict[str, Any]:
    """Logits by the names of the file; the variant for segmentation alone has none of classes."""
    return {"logits_seg": masks} | ({"logits_cls": classes} if "logits_cls" in case.expected else {})


def _model(case: Case) -> Mapping[str, Any]:
    """Logits come from the form that never makes the correlations."""
    import torch

    from likewise.functional.resize import resize_corners
    from likewise.layers.correlation import correlation, unit_query, unit_support
    from likewise.layers.correlation_transformer import PairSupport
    from likewise.layers.fscs import decide, mean_over_shots

    config, learner, (network, heads) = case.config, _opened(case), _backbone(case)
    way, shot, side = config["way"], config["shot"], config["image_size"]
    query = _taps(network, ["query"], case)
    grid = (round((query.shape[2] - 1) ** 0.5),) * 2
    mine = unit_query(query[:, :, 1:].repeat_interleave(way, dim=0), heads)
    logits, first = [], None
    for k in range(shot):
        support = _taps(network, [f"support.{n}.{k}" for n in range(way)], case)
        theirs = unit_support(support[:, :, 0], support[:, :, 1:], grid, learner.side, heads)
        theirs = theirs if learner.class_token else theirs[..., 1:, :]
        masks = [_blob(f"mask.{n}.{k}", side, config["mask_fraction"], n + 1, case.seed) for n in range(way)]
        logits.append(learner.pairs(mine, PairSupport(theirs, learner.hidden(torch.from_numpy(np.stack(masks)))), grid, tile=37))
        first = correlation(mine, theirs) if first is None else first
    assert first is not None
    classes, raw = (torch.stack([shot_logits[part] for shot_logits in logits])[:, None] for part in (0, 1))
    full = resize_corners(raw, tuple(config["query_hw"]))
    answer = decide(mean_over_shots(classes), mean_over_shots(full))
    found = {
        "backbone_first_slice": query[:, 0, ::9, ::7],
        "backbone_last_slice": query[:, -1, ::9, ::7],
        "corr_slice": first[:, ::7, ::13, ::17],
        "logits_seg_raw": raw[0, 0],
        "logits_seg_slice": full[..., ::7, ::7],
        "logits_cls": classes,
        "pred_seg": tied(answer.labels, case.expected["pred_seg"]),
        "pred_cls": answer.present.to(torch.uint8),
    }
    return {name: value for name, value in found.items() if name in case.expected}


def _augmented(case: Case) -> Mapping[str, Any]:
    from likewise.episodes.augmented import augmented

    config, masks = case.config, case.stored["masks"]
    random = np.random.RandomState(config["numpy_legacy_seed"])
    known = config["support_classes"] if config["setting"].startswith("partial") else config["class_ids"]
    found = augmented(config["support_classes"], [list(shots) for shots in masks], known, config["theta"], random)
    supports = [[f"{way}.{shot}" for way, shot in listed] for listed in found.supports]
    expected = {
        "classes": list(found.classes),
        "supports": supports,
        "augmented": found.changed,
        "next_draw": int(random.randint(1000)),
    }
    return {"json": expected}


def _opened(case: Case) -> Learner:
    import torch

    from likewise.methods.emat.checkpoint import learner_of

    weights = {name: torch.from_numpy(array) for name, array in case.weights().items() if name.startswith("learner.")}
    side = case.config.get("support_side", 20)
    pools = (0, 5) if 20 <= side < 40 else (0, side // 4)  # the published pooling, as long as it ends in one token
    return learner_of(weights, side=side, pools=pools)


def _blob(name: str, side: int, fraction: float, value: float, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A mask (side, side): `value` on the brightest fraction of a seeded picture's first channel."""
    plane = seeded.image(name, side, side, seed)[..., 0].astype(np.float32)
    found = (plane > np.quantile(plane, 1 - fraction)) * np.float32(value) if fraction else np.zeros_like(plane)
    return found.astype(np.float32)


def _backbone(case: Case) -> tuple[VisionTransformer, int]:
    """The seeded network of the layout, and its heads of 64 channels."""
    import torch

    from likewise.backbones import from_tensors
    from likewise.backbones.vit import VitConfig

    prefix = "backbone."
    weights = {name.removeprefix(prefix): torch.from_numpy(array) for name, array in case.weights().items() if name.startswith(prefix)}
    width, _, patch, _ = weights["patch_embed.proj.weight"].shape
    depth = sum(name.endswith(".norm1.weight") for name in weights)
    grid = round((weights["pos_embed"].shape[1] - 1) ** 0.5)
    ratio = weights["blocks.0.mlp.fc1.weight"].shape[0] // width
    shape = VitConfig(width=width, depth=depth, heads=width // 64, patch=patch, grid=grid, mlp_ratio=ratio, position_rule="factor")
    return from_tensors(case.name, "", shape, weights).network, width // 64


def _taps(network: VisionTransformer, names: list[str], case: Case) -> Tensor:
    """Tokens (X, L, 1 + P, D) of seeded pictures, the class token first."""
    import torch

    from likewise.backbones.vit import IMAGENET_MEAN, IMAGENET_STD

    side = case.config["image_size"]
    pixels = torch.from_numpy(np.stack([seeded.image(name, side, side, case.seed) for name in names])).float() / 255
    images = ((pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).permute(0, 3, 1, 2)
    return torch.stack(list(network(images, ())), dim=1)
