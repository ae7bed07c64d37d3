"""One door to every backbone: a name -> a frozen network with its hash.

load_backbone("dinov2-reg-small")        weights of the registry
load_backbone("random:vit-small-14")     random numbers, for tests and benches; never chosen by itself
load_backbone("none")                    nothing, for methods that run a network of their checkpoint
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from likewise.backbones.checkpoint import filled, official_names
from likewise.backbones.vit import VisionTransformer, VitConfig
from likewise.errors import UsageError, close_match

if TYPE_CHECKING:
    from likewise.weights import LoadedWeights

# architecture (as the weights registry names it) -> shape. DINOv2: Oquab et al. 2023, table 17; DINO: Caron et al. 2021;
# vit: class-supervised, Touvron et al. 2021; mae: He et al. 2022, the encoder alone, every patch seen; beit: Bao et al. 2022,
# its self-supervised weights, which have no norm behind the last block and were trained on pixels from -1 to 1; sam: Kirillov
# et al. 2023, the image encoder without its neck; dinov3: Simeoni et al. 2025, trained on squares of 256.
ARCHITECTURES: dict[str, VitConfig] = {
    "dinov2-reg-small": VitConfig(width=384, depth=12, heads=6, patch=14, grid=37, registers=4),
    "dinov2-reg-base": VitConfig(width=768, depth=12, heads=12, patch=14, grid=37, registers=4),
    "dinov2-small": VitConfig(width=384, depth=12, heads=6, patch=14, grid=37, position_rule="factor"),
    "dinov2-base": VitConfig(width=768, depth=12, heads=12, patch=14, grid=37, position_rule="factor"),
    "dinov3-small": VitConfig(width=384, depth=12, heads=6, patch=16, grid=16, registers=4, norm_eps=1e-5, rotary=100.0),
    "dinov3-base": VitConfig(width=768, depth=12, heads=12, patch=16, grid=16, registers=4, norm_eps=1e-5, rotary=100.0),
    "dino-small-8": VitConfig(width=384, depth=12, heads=6, patch=8, grid=28, layer_scale=False, position_rule="factor"),
    "dino-small-16": VitConfig(width=384, depth=12, heads=6, patch=16, grid=14, layer_scale=False, position_rule="factor"),
    "dino-base-16": VitConfig(width=768, depth=12, heads=12, patch=16, grid=14, layer_scale=False, position_rule="factor"),
    "vit-small-16": VitConfig(width=384, depth=12, heads=6, patch=16, grid=14, layer_scale=False, position_rule="size"),
    "vit-base-16": VitConfig(width=768, depth=12, heads=12, patch=16, grid=14, layer_scale=False, position_rule="size"),
    "mae-base-16": VitConfig(width=768, depth=12, heads=12, patch=16, grid=14, layer_scale=False, position_rule="size"),
    "beit-base": VitConfig(width=768, depth=12, heads=12, patch=16, grid=14, relative=True, final_norm=False, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "sam-base": VitConfig(
        width=768,
        depth=12,
        heads=12,
        patch=16,
        grid=64,
        layer_scale=False,
        position_rule="size",
        final_norm=False,
        class_token=False,
        window=14,
        whole=(2, 5, 8, 11),
    ),
}
RANDOM: dict[str, VitConfig] = {
    "vit-small-14": ARCHITECTURES["dinov2-reg-small"],
    "vit-small-8": ARCHITECTURES["dino-small-8"],
    "vit-tiny-14": VitConfig(width=48, depth=4, heads=3, patch=14, grid=9, registers=2),
    "vit-tiny-8": VitConfig(width=36, depth=3, heads=3, patch=8, grid=8, layer_scale=False, position_rule="factor"),
    "dinov3-tiny-16": VitConfig(width=48, depth=4, heads=3, patch=16, grid=8, registers=2, norm_eps=1e-5, rotary=100.0),
    "beit-tiny-8": VitConfig(width=36, depth=4, heads=3, patch=8, grid=8, relative=True, final_norm=False, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "sam-tiny-8": VitConfig(
        width=36, depth=3, heads=3, patch=8, grid=8, layer_scale=False, position_rule="size", final_norm=False, class_token=False, window=3, whole=(1,)
    ),
}


@dataclass(frozen=True)
class Backbone:
    """A frozen network: `name` as asked for, `sha256` of its weights, and the module in evaluation mode."""

    name: str
    sha256: str
    network: VisionTransformer

    @property
    def config(self) -> VitConfig:
        """The network's shape."""
        return self.network.config


def load_backbone(name: str) -> Backbone:
    """The backbone of a resolved name (see `likewise.weights.resolve` for "auto").

    Raises UsageError for a name that is no backbone, WeightsError for weights that are missing or do not fit.
    """
    if name == "none":
        return nothing()
    if name.startswith("random:"):
        return _random(name)
    from likewise import weights

    entry = weights.entry(name)
    if entry.architecture not in ARCHITECTURES:
        raise UsageError(f"{name!r} is a {entry.architecture}, which no backbone here reads yet", where="backbone", remedy=close_match(name, ARCHITECTURES))
    loaded: LoadedWeights = weights.load(name)
    return from_tensors(name, loaded.sha256, ARCHITECTURES[entry.architecture], loaded.tensors)


def from_tensors(name: str, sha256: str, config: VitConfig, tensors: Mapping[str, torch.Tensor]) -> Backbone:
    """A backbone from opened tensors with official or `transformers` names; every tensor must fit."""
    with torch.device("meta"):
        network = VisionTransformer(config)
    return Backbone(name, sha256, filled(network, official_names(tensors), name))


def nothing() -> Backbone:
    """What stands where a method runs a network of its own and reads no other; a `FeatureProvider` refuses to run it."""
    with torch.device("meta"):
        return Backbone("none", "", VisionTransformer(RANDOM["vit-tiny-14"]).eval().requires_grad_(False))


def _random(name: str) -> Backbone:
    kind = name.removeprefix("random:")
    if kind not in RANDOM:
        raise UsageError(f"there is no random backbone {kind!r}", where="backbone", remedy=close_match(kind, RANDOM))
    config = RANDOM[kind]
    with torch.device("meta"):
        layout = VisionTransformer(config).state_dict()
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for key, value in layout.items():
        noise = torch.randn(value.shape, generator=generator)
        is_scale = key.endswith(("norm1.weight", "norm2.weight", "norm.weight", "gamma"))
        tensors[key] = 1 + 0.02 * noise if is_scale else noise * (0.02 if value.ndim == 1 else value[0].numel() ** -0.5)
    digest = hashlib.sha256(b"".join(tensors[key].numpy().tobytes() for key in sorted(tensors))).hexdigest()
    return from_tensors(name, digest, config, tensors)
