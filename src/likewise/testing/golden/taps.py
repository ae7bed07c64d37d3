"""Golden files of what HSNet, ASNet and PANet read of a residual network (`cst_taps_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case

SLICE = np.s_[:, ::41, ::3, ::3]


def taps(case: Case) -> Mapping[str, Any]:
    """Blocks before their last ReLU, with "pool" the large ones averaged as ASNet does for a support."""
    import torch

    from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD
    from likewise.backbones.resnet_weights import resnet_of
    from likewise.layers.correlation_pyramid import pooled_support

    config = case.config
    network = resnet_of({name: torch.from_numpy(array) for name, array in case.weights().items()}, where=case.name)
    pixels = torch.from_numpy(seeded.image("image.0", config["height"], config["width"], case.seed)).float()
    image = ((pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        found = [tap for stage in network.taps(image) for tap in stage]
    if config["pool"]:
        found = [pooled_support(tap, config["pool_threshold"]) for tap in found]
    return {f"tap{index:02}_slice": tap[SLICE] for index, tap in enumerate(found)} | {
        "shapes": np.array([tap.shape for tap in found]),
        "mean_std": torch.stack([torch.stack([tap.mean(), tap.std(correction=0)]) for tap in found]),
        "negative_share": torch.stack([(tap < 0).float().mean() for tap in found]),
    }
