"""A small head, a support with every kind of prompt, and a published checkpoint in miniature; all sizes differ."""

import numpy as np
import torch

from likewise.data import Example, Support
from likewise.methods.label_anything.config import HeadConfig
from likewise.methods.label_anything.model import untrained_head
from likewise.methods.label_anything.prompts import Prompts

CONFIG = HeadConfig(encoder_width=20, width=32, side=60, patch=10, heads=4, hidden=24, spatial=3, shrink=8)
PUBLISHED = {
    "encoder": "vit_b_mae",
    "image_embed_dim": 64,
    "embed_dim": 32,
    "image_size": 96,
    "spatial_convs": 3,
    "class_attention": False,
    "example_attention": False,
    "example_class_attention": False,
    "fusion_transformer": "TwoWayTransformer",
    "custom_preprocess": False,
}


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def head(seed=3, **changes):
    """A head whose numbers matter: initial ones would say nearly the same everywhere."""
    from dataclasses import replace

    found = untrained_head(replace(CONFIG, **changes), seed)
    with torch.no_grad():
        for name, tensor in found.named_parameters():
            if tensor.ndim > 1 and "embed" not in name:
                tensor.mul_(2)
    return found


def prompts(images=2, classes=3):
    """A point in one pair, a box in another, a mask in a third; the background has none."""
    points, point_flags = torch.zeros(1, images, classes, 2, 2), torch.zeros(1, images, classes, 2)
    boxes, box_flags = torch.zeros(1, images, classes, 1, 4), torch.zeros(1, images, classes, 1)
    masks, mask_flags = torch.zeros(1, images, classes, 24, 24), torch.zeros(1, images, classes)
    points[0, 0, 1], point_flags[0, 0, 1] = torch.tensor([[12.0, 30.0], [50.0, 7.0]]), torch.tensor([1.0, -1.0])
    boxes[0, 1, 1], box_flags[0, 1, 1] = torch.tensor([[5.0, 6.0, 40.0, 51.0]]), 1
    masks[0, 1, 2, 3:15, 4:20], mask_flags[0, 1, 2] = 1, 1
    return Prompts(points, point_flags, boxes, box_flags, masks, mask_flags)


def picture(seed, size=(52, 70)):
    """A picture with a bright square, and where it is."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 90, (*size, 3), np.uint8)
    row, column = random.integers(4, 20, 2)
    image[row : row + 24, column : column + 24] += 150
    mask = np.zeros(size, bool)
    mask[row : row + 24, column : column + 24] = True
    return image, mask


def mixed_support():
    """One image with a mask, one with a box, one with points, one with a scribble, one with tags alone."""
    made = [picture(seed) for seed in range(5)]
    corner = [tuple(int(v) for v in np.argwhere(mask)[0][::-1]) for _, mask in made]
    return Support(
        [
            Example(made[0][0], "mask", label_map=made[0][1].astype(np.uint8)),
            Example(made[1][0], "box", boxes={"square": [(*corner[1], corner[1][0] + 24, corner[1][1] + 24)]}),
            Example(made[2][0], "points", points={"square": {"positive": [(corner[2][0] + 9.0, corner[2][1] + 8.0)], "negative": [(1.0, 1.0)]}}),
            Example(made[3][0], "scribble", scribbles={"square": [[(corner[3][0] + 3.0, corner[3][1] + 3.0), (corner[3][0] + 20.0, corner[3][1] + 18.0)]]}),
            Example(made[4][0], "tag", tags={"square": True}),
        ],
        classes={1: "square"},
    )


def published(config=PUBLISHED, depth=2, seed=7):
    """The tensors of a released model in miniature, with the names that the hub has."""
    from likewise.methods.label_anything.config import from_published

    shape = from_published(config)
    generator = torch.Generator().manual_seed(seed)
    width, found = shape.encoder_width, {}
    for name, tensor in untrained_head(shape).state_dict().items():
        found[f"model.{name}"] = torch.randn(tensor.shape, generator=generator) * 0.2
    sizes = {"cls_token": (1, 1, width), "position_embeddings": (1, 17, width)}
    sizes |= {"patch_embeddings.projection.weight": (width, 3, 16, 16), "patch_embeddings.projection.bias": (width,)}
    layers = {}
    for index in range(depth):
        start = f"encoder.layer.{index}"
        for part in ("attention.attention.query", "attention.attention.key", "attention.attention.value", "attention.output.dense"):
            layers |= {f"{start}.{part}.weight": (width, width), f"{start}.{part}.bias": (width,)}
        layers |= {f"{start}.intermediate.dense.weight": (2 * width, width), f"{start}.intermediate.dense.bias": (2 * width,)}
        layers |= {f"{start}.output.dense.weight": (width, 2 * width), f"{start}.output.dense.bias": (width,)}
        for norm in ("layernorm_before", "layernorm_after"):
            layers |= {f"{start}.{norm}.weight": (width,), f"{start}.{norm}.bias": (width,)}
    every = {f"embeddings.{name}": size for name, size in sizes.items()} | layers | {"layernorm.weight": (width,), "layernorm.bias": (width,)}
    every |= {"pooler.dense.weight": (width, width), "pooler.dense.bias": (width,)}
    return found | {f"model.image_encoder.{name}": torch.randn(size, generator=generator) * 0.2 for name, size in every.items()}
