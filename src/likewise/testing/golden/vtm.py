"""Golden files of the networks of VTM: encoders, matching, decoder, the whole model, losses (`vtm_*`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.methods.vtm.model import Vtm

IMAGE_ROOT = "image_backbone.backbone.beit."


def given(case: Case, name: str) -> Tensor:
    """An input by its recipe: images or first channels of images in 0..1, stacked as their names are nested, or uniform numbers."""
    import torch

    recipe = case.meta["inputs"][name]
    if recipe["from"] == "uniform":
        values = torch.from_numpy(seeded.uniform(recipe.get("name", name), recipe["shape"], recipe["seed"], recipe["low"], recipe["high"]))
        then = recipe.get("then", "")
        if then.startswith("valid where value <"):
            return values < float(then.removeprefix("valid where value <").split(";")[0])
        return values * float(then.removeprefix("times")) if then.startswith("times") else values
    grey = recipe["take"].startswith("channel 0")
    return torch.from_numpy(_nested(recipe["names"], recipe, grey)).float() / 255


def _nested(names: Sequence[Any] | str, recipe: Mapping[str, Any], grey: bool) -> NDArray[np.uint8]:
    if not isinstance(names, str):
        return np.stack([_nested(part, recipe, grey) for part in names])
    image = seeded.image(names, recipe["height"], recipe["width"], recipe["seed"]).transpose(2, 0, 1)
    return image[:1] if grey else image


def weights(case: Case) -> dict[str, Tensor]:
    """The seeded tensors by our names; an alias has the numbers of what it stands for."""
    import torch

    from likewise.methods.vtm.checkpoint import converted

    return converted({name: torch.from_numpy(array) for name, array in case.weights().items()})


def system(case: Case, tensors: Mapping[str, Tensor]) -> Vtm:
    """Both networks of a case."""
    from likewise.methods.vtm.checkpoint import head_of, image_encoder
    from likewise.methods.vtm.model import Vtm

    image = image_encoder(tensors)
    if image is None:
        raise ValueError("the case has no image encoder")
    return Vtm(image, head_of(tensors, heads=case.config["heads_z"], matching_heads=case.config["n_attn_heads"]))


def losses(case: Case) -> Mapping[str, Any]:
    """The hybrid loss, its gradient, and both ways of averaging."""
    import torch

    from likewise.methods.vtm.objective import channel_losses, hybrid_loss

    stored = {name: torch.from_numpy(array) for name, array in case.stored.items()}
    logits, target, mask = stored["logits"].requires_grad_(), stored["target"], stored["mask"].float()
    categorical = torch.isin(stored["t_idx"], torch.tensor(case.config["semseg_indices"]))[:, :, None, None]
    loss = hybrid_loss(logits, target, mask, categorical, official=True)
    (gradient,) = torch.autograd.grad(loss, logits)
    with torch.no_grad():
        return {
            "loss": loss,
            "grad_logits": gradient,
            "loss_each": channel_losses(logits, target, mask, categorical).flatten(2).mean(dim=2),
            "loss_finetune_local_indices": hybrid_loss(logits, target, mask, torch.ones_like(categorical), official=True),
            "sane_mean_over_valid": hybrid_loss(logits, target, mask, categorical),
        }


def encoder(case: Case) -> Mapping[str, Any]:
    """Tokens of the image encoder, of the label encoder, or of the first blocks at small activations."""
    import torch

    with torch.inference_mode():
        if "image_block0" in case.expected:
            return _small(case)
        return _image(case) if "X" in case.meta["inputs"] else _label(case)


def _image(case: Case) -> Mapping[str, Any]:
    tensors = weights(case)
    return _levels(image_levels(case, tensors, given(case, "X"), case.stored["t_idx"]), case)


def image_levels(case: Case, tensors: Mapping[str, Tensor], images: Tensor, rows: NDArray[Any]) -> list[Tensor]:
    """Image tokens (B, T, N, D, h, w) of four levels, of images (B, T, N, 3, H, W) under bias rows (B, T)."""
    import torch

    from likewise.backbones.biases import chosen
    from likewise.methods.vtm.checkpoint import biases_in, image_encoder
    from likewise.methods.vtm.model import Head, HeadConfig, Vtm

    network = image_encoder(tensors)
    assert network is not None
    with torch.device("meta"):
        nothing = Head(HeadConfig(width=8, depth=4, heads=1))
    each = torch.from_numpy(np.asarray(rows)).repeat_interleave(images.shape[2])
    tokens = Vtm(network, nothing).image_tokens(images.flatten(0, 2), chosen(biases_in(tensors), each))
    grid = (images.shape[-2] // case.config.get("patch", 16), images.shape[-1] // case.config.get("patch", 16))
    return [torch.unflatten(torch.unflatten(level.transpose(1, 2), 2, grid), 0, images.shape[:3]) for level in tokens]


def _label(case: Case) -> Mapping[str, Any]:
    from likewise.methods.vtm.model import as_label

    labels = given(case, "Y")
    if "M" in case.meta["inputs"]:
        labels = as_label(labels, given(case, "M"))
    return _levels(_label_levels(case, weights(case), labels), case)


def _label_levels(case: Case, tensors: Mapping[str, Tensor], labels: Tensor) -> list[Tensor]:
    """Label tokens (..., Z, h, w) of four levels, of labels (..., 1, H, W)."""
    import torch

    from likewise.methods.vtm.model import level_blocks

    network = label_encoder(case, tensors)

    flat = labels.flatten(0, -4)
    tokens = network(flat, level_blocks(network.config.depth))
    grid = (labels.shape[-2] // network.config.patch, labels.shape[-1] // network.config.patch)
    return [torch.unflatten(torch.unflatten(level[:, 1:].transpose(1, 2), 2, grid), 0, labels.shape[:-3]) for level in tokens]


def label_encoder(case: Case, tensors: Mapping[str, Tensor]) -> Any:
    """The label encoder alone, for cases that have no more."""
    from likewise.backbones.vit import VisionTransformer
    from likewise.methods.vtm.model import HeadConfig

    own = {name.removeprefix("label."): tensor for name, tensor in tensors.items() if name.startswith("label.")}
    width, _, patch, _ = own["patch_embed.proj.weight"].shape
    config = HeadConfig(
        width=width,
        depth=case.config["depth"],
        heads=case.config["heads_z"],
        patch=patch,
        grid=case.config["img"] // patch,
        mlp_ratio=own["blocks.0.mlp.fc1.weight"].shape[0] // width,
    )
    network = VisionTransformer(config.label)
    network.load_state_dict(own)
    return network.eval()


def _levels(levels: Sequence[Tensor], case: Case) -> dict[str, Any]:
    return {name: value for index, value in enumerate(levels, start=1) if (name := f"level{index}") in case.expected}


def _small(case: Case) -> Mapping[str, Any]:
    """The first block of each encoder and one matching layer; the row of biases as the notes say."""
    from likewise.backbones.biases import chosen
    from likewise.methods.vtm.checkpoint import biases_in

    tensors = weights(case)
    vtm = system(case, tensors)
    images, labels = given(case, "X").flatten(0, 2), given(case, "Y").flatten(0, 2)
    row = int(case.meta["notes"].partition("bias row ")[2].partition(";")[0])
    queries, support, values = (given(case, name).flatten(0, 2).flatten(2).transpose(1, 2) for name in ("WQ", "WS", "ZS"))
    layer = vtm.head.level(0)
    matched = layer(queries, layer.keys(support[0]), layer.values(values))
    return {
        "image_block0": vtm.image(images, (0,), biases=chosen(biases_in(tensors), [row] * len(images)))[0],
        "label_block0": vtm.head.label(labels, (0,))[0],
        "matching_level1": matched[:, 0],
    }


def matching(case: Case) -> Mapping[str, Any]:
    """Label tokens of queries at four levels, and the attention of the first, episodes and channels one by one."""
    import torch

    from likewise.methods.vtm.matching import Matching

    config, tensors = case.config, weights(case)
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for index in range(4):
            own = {name.removeprefix(f"matching.{index}."): tensor for name, tensor in tensors.items() if name.startswith(f"matching.{index}.")}
            layer = Matching(config["dim_w"], config["dim_z"], config["n_attn_heads"])
            layer.load_state_dict(own)
            queries, support, labels = (given(case, f"{name}{index}") for name in ("WQ", "WS", "ZS"))
            parts = [part.flatten(0, 1).flatten(3).transpose(2, 3).flatten(1, 2) for part in (queries, support, labels)]  # (B*T, N*h*w, width)
            keys, values = layer.keys(parts[1]), layer.values(parts[2])
            matched = torch.cat([layer(parts[0][i : i + 1], keys[i], values[i : i + 1])[:, 0] for i in range(len(keys))])
            batch, channels, count, _, *grid = queries.shape
            found[f"level{index + 1}"] = matched.reshape(batch, channels, count, *grid, -1).movedim(-1, 3)
            if index == 0:
                maps = torch.cat([layer.attention(parts[0][i : i + 1], keys[i]) for i in range(len(keys))])
                found["attention_level1"] = maps.transpose(0, 1).flatten(0, 1)
    return found


def decoder(case: Case) -> Mapping[str, Any]:
    """Logits and every map on the way."""
    import torch

    from likewise.methods.vtm.decoder import Decoder

    config = case.config
    one, two, three, four = config["post"]
    network = Decoder(config["dim_z"], (one, two, three, four), config["feat"])
    network.load_state_dict({name.removeprefix("decoder."): tensor for name, tensor in weights(case).items() if name.startswith("decoder.")})
    with torch.inference_mode():
        levels = [given(case, f"Z{index}") for index in range(4)]
        maps = network.reassembled(levels)
        fused = network.fusions(maps)
        found = {"logits": network(levels)[:, None]}
    found |= {f"post{level}": plane for level, plane in enumerate(maps, start=1)}
    found |= {f"fuse{level}": plane for level, plane in enumerate(fused, start=1)}
    return {name: strided(case, name, tensor) for name, tensor in found.items()}


def strided(case: Case, name: str, tensor: Tensor) -> Tensor:
    """An output as the file keeps it: every n-th channel, row or column."""
    rule = case.meta.get("strides", {}).get(f"out.{name}", "whole")
    if "::" not in rule:
        return tensor
    step = int(rule.partition("::")[2].partition("]")[0])
    axes = [axis for axis, word in ((-3, "channels"), (-2, "rows"), (-1, "columns")) if word in rule]
    for axis in axes:
        tensor = tensor.movedim(axis, 0)[::step].movedim(0, axis)
    return tensor
