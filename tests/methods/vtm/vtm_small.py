"""Small networks and examples that the tests of VTM share; all sizes differ."""

from dataclasses import replace

import torch

from likewise.backbones import Backbone, load_backbone
from likewise.backbones.biases import repeated
from likewise.methods.vtm.model import HeadConfig, Vtm, untrained_head

CONFIG = HeadConfig(image_width=36, width=20, depth=4, heads=5, patch=8, grid=6, matching_heads=2, reassembled=(4, 6, 10, 14), fused=8)


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def small_vtm(backbone="beit-tiny-8", **changes):
    """A small model whose tokens matter: untrained attention would be flat."""
    loaded: Backbone = load_backbone(f"random:{backbone}")
    head = untrained_head(replace(CONFIG, **changes), seed=3)
    with torch.no_grad():
        for name, tensor in head.named_parameters():
            if name.endswith(("fc_q.weight", "fc_k.weight")):
                tensor.mul_(6)
            if name.startswith("label.") and tensor.ndim > 1:
                tensor.mul_(8)
    return Vtm(loaded.network, head.requires_grad_(False))


def some_biases(vtm, rows, seed=5):
    """Rows of biases that differ."""
    start = repeated(vtm.image, vtm.image.config.depth, rows)
    return {name: tensor + 0.3 * (noise(seed + index, *tensor.shape) - 0.5) for index, (name, tensor) in enumerate(start.items())}
