"""Golden files of the networks of Label Anything: encoders, prompt encoder, two-way transformer, whole models (`la_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case

if TYPE_CHECKING:
    from torch import Tensor

    from likewise.backbones.vit import VisionTransformer
    from likewise.methods.label_anything.config import HeadConfig
    from likewise.methods.label_anything.model import Head
    from likewise.methods.label_anything.prompt_encoder import PromptEncoder
    from likewise.methods.label_anything.prompts import Prompts


def given(case: Case, name: str) -> Tensor:
    """An input: made by its recipe, or stored."""
    import torch

    recipe = case.meta["inputs"].get(name)
    if recipe is None:
        return torch.from_numpy(case.stored[name].copy())
    if recipe["from"] == "seeded.image":
        return torch.from_numpy(seeded.image(recipe["name"], recipe["height"], recipe["width"], recipe["seed"]).copy())
    return torch.from_numpy(seeded.uniform(recipe["name"], recipe["shape"], recipe["seed"], recipe["low"], recipe["high"]))


def weights(case: Case) -> dict[str, Tensor]:
    """The seeded tensors by official names, `model.` left out."""
    import torch

    return {name.removeprefix("model."): torch.from_numpy(array) for name, array in case.weights().items()}


def encoder_of(kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> VisionTransformer:
    """The image encoder of a case, "sam" or "mae", with its tensors."""
    from likewise.backbones.registry import from_tensors
    from likewise.backbones.vit import VitConfig

    if kind == "sam":
        shape = VitConfig(
            width=config["embed_dim"],
            depth=config["depth"],
            heads=config["num_heads"],
            patch=config["patch_size"],
            grid=config["img_size"] // config["patch_size"],
            mlp_ratio=config["mlp_ratio"],
            norm_eps=config["layer_norm_eps"],
            layer_scale=False,
            position_rule="size",
            final_norm=False,
            class_token=False,
            window=config["window_size"],
            whole=tuple(config["global_attn_indexes"]),
        )
    else:
        shape = VitConfig(
            width=config["hidden_size"],
            depth=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            patch=config["patch_size"],
            grid=config["image_size"] // config["patch_size"],
            mlp_ratio=config["intermediate_size"] // config["hidden_size"],
            norm_eps=config["layer_norm_eps"],
            layer_scale=False,
            position_rule="size",
        )
    return from_tensors(kind, "", shape, tensors).network


def tokens_of(network: VisionTransformer, images: Tensor) -> Tensor:
    """Patch tokens (B, h*w, F) of normalised images (B, 3, H, W)."""
    (found,) = network(images, (-1,))
    return found[:, network.config.prefix :]


def encoder(case: Case) -> Mapping[str, Any]:
    """Features of a small image encoder, and of SAM's own neck."""
    import torch

    from likewise.layers.two_way import neck

    with torch.inference_mode():
        tensors, image = weights(case), given(case, "image")
        network = encoder_of(case.meta["case"], case.config, tensors)
        side = image.shape[-1] // network.config.patch
        maps = torch.unflatten(tokens_of(network, image).transpose(1, 2), 2, (-1, side))
        if case.meta["case"] != "sam":
            return {"features": maps}
        own = neck(case.config["embed_dim"], case.config["out_chans"])
        own.load_state_dict({name.removeprefix("neck."): tensor for name, tensor in tensors.items() if name.startswith("neck.")})
        return {"last_block": maps, "neck": own(maps)}


def prompt_encoder(case: Case, config: HeadConfig) -> PromptEncoder:
    """A prompt encoder with the tensors of a case, all of them."""
    from likewise.methods.label_anything.prompt_encoder import PromptEncoder

    module = PromptEncoder(config).eval()
    module.load_state_dict(weights(case))
    return module


def prompts_of(case: Case) -> Prompts:
    """The prompts that a case has stored."""
    import torch

    from likewise.methods.label_anything.prompts import Prompts

    names = {"points": "points", "flag_points": "point_flags", "boxes": "boxes", "flag_boxes": "box_flags", "masks": "masks", "flag_masks": "mask_flags"}
    return Prompts(**{ours: torch.from_numpy(case.stored[name]) for name, ours in names.items() if name in case.stored})


def prompts(case: Case) -> Mapping[str, Any]:
    """Tokens of points and boxes before and after they attend to each other, dense maps; or positions alone."""
    import torch

    from likewise.methods.label_anything.config import MIXERS, HeadConfig
    from likewise.methods.label_anything.prompt_encoder import FourierPlaces

    config = case.config
    with torch.inference_mode():
        if "grid" in case.expected:
            places = FourierPlaces(config["embed_dim"])
            places.load_state_dict({name.removeprefix("pe_layer."): tensor for name, tensor in weights(case).items()})
            side = config["embedding_size"]
            grid = torch.unflatten(places.grid(side).T, 1, (side, side))[None]
            return {"grid": grid, "points": places(given(case, "coords") / config["image_size"])}
        mixers = tuple(name for name in MIXERS if any(key.startswith(f"{name}.") for key, _ in case.layout()))
        head = HeadConfig(width=config["embed_dim"], side=config["image_size"], heads=config["sparse_heads"], hidden=config["sparse_mlp"], mixers=mixers)
        module, asked = prompt_encoder(case, head), prompts_of(case).given()
        found: dict[str, Any] = {}
        for prefix, official in (("", True), ("sane.", False)):
            tokens = module.tokens(asked, official=official)
            found |= {f"{prefix}tokens": tokens, f"{prefix}sparse": module.attended(tokens)}
        side = config["embedding_size"]
        if asked.masks is None or asked.mask_flags is None:
            dense = module.dense(None, None, side).expand(asked.shape[0] * asked.shape[1] * asked.shape[2], -1, -1, -1)
        else:
            dense = module.dense(asked.masks.flatten(0, 2), asked.mask_flags.flatten(), side)
        found["dense"] = torch.unflatten(dense, 0, asked.shape)
        return found


def two_way(case: Case) -> Mapping[str, Any]:
    """The two-way transformer or the mixer, as published and with masks that work."""
    import torch

    from likewise.layers.two_way import Mixer, TwoWayTransformer

    config, tensors = case.config, weights(case)
    with torch.inference_mode():
        if "y" in case.expected:
            mixer = Mixer(config["embed_dim"], config["num_heads"], config["mlp_dim"], config["downsample_rate"]).eval()
            mixer.load_state_dict(tensors)
            x, mask = given(case, "x"), given(case, "key_mask").bool()
            return {"y": mixer(x), "sane.y": mixer(x, mask)}
        module = TwoWayTransformer(config["embedding_dim"], config["num_heads"], config["mlp_dim"], config["depth"], config["attention_downsample_rate"]).eval()
        module.load_state_dict(tensors)
        image, places = (given(case, name).flatten(2).transpose(1, 2) for name in ("image_embedding", "image_pe"))
        found: dict[str, Any] = {}
        for prefix, token_mask in (("", None), ("sane.", given(case, "token_mask").bool())):
            tokens, seen = module(image, places, given(case, "tokens"), token_mask)
            found |= {f"{prefix}tokens": tokens, f"{prefix}image": seen}
        return found


def prototypes(case: Case) -> Mapping[str, Any]:
    """Prototypes of prompts and features; every third fused map."""
    import torch

    from likewise.methods.label_anything.config import MIXERS, HeadConfig

    config = case.config
    with torch.inference_mode():
        head = HeadConfig(
            width=config["embed_dim"],
            side=config["image_size"],
            heads=config["two_way"]["heads"],
            hidden=config["two_way"]["mlp_dim"],
            mixers=tuple(name for name in MIXERS if config["mixers"][name.replace("class_example", "example_class")]),
            class_width=config["class_embedding_dim"] or 0,
            pool=config["token_pool_rows"] or 0,
        )
        module, asked, features = prompt_encoder(case, head), prompts_of(case), given(case, "image_embeddings")
        rows = given(case, "rows") if "rows" in case.stored else None
        found: dict[str, Any] = {}
        for prefix, official in (("", True), ("sane.", False)):
            encoded = module(features, asked, rows=rows, official=official, chunk=4, every=True)
            found |= {f"{prefix}prototypes": encoded.prototypes, f"{prefix}examples": encoded.examples}
        found["fused"] = _fused(module, features, asked, rows)
        return {name: value for name, value in found.items() if name in case.expected}


def _fused(module: PromptEncoder, features: Tensor, asked: Prompts, rows: Tensor | None) -> Tensor:
    import torch

    asked = asked.given()
    every = torch.ones(asked.shape, dtype=torch.bool)
    tokens = module.attended(module.tokens(asked, official=True))
    maps = torch.cat([image for _, image in module.fused(features, tokens, asked, every, rows)])
    return torch.unflatten(maps.transpose(1, 2), 2, features.shape[-2:])[::3]


def head_of(case: Case, tensors: Mapping[str, Tensor]) -> Head:
    """The head of a whole model, every tensor of it used."""
    from likewise.methods.label_anything.checkpoint import head_from
    from likewise.methods.label_anything.config import from_published

    return head_from({name: tensor for name, tensor in tensors.items() if not name.startswith("image_encoder.")}, from_published(_published(case)))


def _published(case: Case) -> dict[str, Any]:
    """The configuration of a case as a released one says it."""
    config = dict(case.config)
    if "encoder_config" in config:
        config["use_vit_sam_neck"] = bool(config["encoder_config"].get("project_last_hidden", False))
    return config


def model(case: Case) -> Mapping[str, Any]:
    """Whole small models: prototypes, logits of the network and of the image, labels, answers from kept prototypes."""
    import torch

    from likewise.methods.label_anything.pictures import Frame

    config, tensors = case.config, weights(case)
    with torch.inference_mode():
        network = encoder_of(config["encoder"], config["encoder_config"], _part(tensors, "image_encoder."))
        head, asked, images = head_of(case, tensors), prompts_of(case), given(case, "images")
        rows = given(case, "rows") if "rows" in case.stored else None
        features = torch.unflatten(head.features(tokens_of(network, images.flatten(0, 1))), 0, images.shape[:2])
        found: dict[str, Any] = {}
        for prefix, official in (("", True), ("sane.", False)):
            encoded = head.remember(features[:, 1:], asked, rows=rows, official=official)
            low = head.logits(features[:, 0], encoded.prototypes, None if official else encoded.some.any(dim=1))
            found |= {f"{prefix}prototypes": encoded.prototypes, f"{prefix}low_logits": low}
        dims, frame = case.stored["dims"], Frame(config["image_size"], padded=config["custom_preprocess"])
        whole = on_canvas(found["low_logits"], frame, dims)
        whole = torch.where(given(case, "flag_gts")[:, :, None, None], whole, -torch.inf)
        stride = round(whole.shape[-1] / case.expected["logits"].shape[-1])
        first = head.logits(features[:1, 0], found["prototypes"][:1])
        size = (int(dims[0, 0, 0]), int(dims[0, 0, 1]))
        found["predict_first"] = frame.enlarged(first, size)[..., ::stride, ::stride]
        found |= {"logits": whole[..., ::stride, ::stride], "argmax": whole.argmax(dim=1).to(torch.uint8)}
        return {name: value for name, value in found.items() if name in case.expected}


def on_canvas(low: Tensor, frame: Any, dims: NDArray[np.integer]) -> Tensor:
    """Logits of the network at the size of each query, on a canvas as large as the largest image of all: nothing but background outside."""
    import torch

    rows, columns = (int(dims[..., axis].max()) for axis in (0, 1))
    canvas = torch.full((*low.shape[:2], rows, columns), -torch.inf)
    for place, (height, width) in enumerate(dims[:, 0].tolist()):
        canvas[place, :, :height, :width] = frame.enlarged(low[place : place + 1], (height, width))[0]
    canvas[:, 0] = canvas[:, 0].masked_fill(canvas[:, 0] == -torch.inf, 0.0)
    return canvas


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
