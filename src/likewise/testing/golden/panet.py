"""Golden files of PANet: its rule on given features (`cst_panet_*`), and the original network with both losses (`cst_panet_orig*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.cst import tied

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = 0.1  # of the pixels of a mask
ORIGINAL = {"mask": 0.3, "other": 0.1, "gt": 0.4}  # shares of the pixels that are set


def panet(case: Case) -> Mapping[str, Any]:
    """The form of few-shot classification and segmentation on features, or the original on images."""
    return _original(case) if "height" in case.config else _in_frame(case)


def _in_frame(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.functional.resize import resize_corners
    from likewise.methods.panet.model import cells_under, maps_of, peak_log, pooled_prototypes, rows_of_maps, scores

    config = case.config
    batch, way, shot, side = config["batch"], config["way"], config["shot"], config["feature_size"]
    height, width = config["query_hw"]

    def features(name: str, count: int) -> Tensor:
        return torch.from_numpy(seeded.uniform(name, (count, config["channels"], side, side), case.seed, -0.5, 1.0))

    masks = torch.stack([_mask(case, index) for index in range(batch * way * shot)])
    with torch.inference_mode():
        rows = rows_of_maps(features("support", batch * way * shot)).reshape(batch, way, -1, config["channels"])
        own = cells_under(masks, (side, side)).reshape(batch, way, -1).float()
        prototypes = pooled_prototypes(rows, own, 1 - own, lazy=config["lazy"])
        logits = maps_of(scores(rows_of_maps(features("query", batch)), *prototypes), (side, side))
        maps = torch.log_softmax(logits, dim=1)
        large = resize_corners(maps, (height, width))
    found = {"logits": logits, "seg_log_slice": large[..., ::3, ::3], "pred_seg": tied(large.argmax(dim=1), case.expected["pred_seg"])}
    if "pred_cls" in case.expected:
        found["pred_cls"] = (peak_log(maps) >= np.log(0.5)).float()
    return found


def _mask(case: Case, index: int) -> Tensor:
    """A mask (H, W), 0 also where the pixel is to be ignored, since the official code tells these from the background nowhere."""
    import torch

    config, side = case.config, case.config["mask_size"]
    mask = _blob(case, f"mask.{index}", side, side, config["mask_fraction"])
    if config["ignore"]:
        mask = mask & ~_blob(case, f"ignore.{index}", side, side, IGNORED)
    return torch.from_numpy(mask).float()


def _original(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD
    from likewise.backbones.vgg import dilated_vgg_of
    from likewise.functional.resize import resize_grid
    from likewise.methods.panet.model import alignment_loss, averaged_prototypes, known_entropy, maps_of, rows_of_maps, scores

    config = case.config
    way, shot, queries, size = config["way"], config["shot"], config["queries"], (config["height"], config["width"])
    prefix = "encoder.backbone."
    network = dilated_vgg_of({name.removeprefix(prefix): torch.from_numpy(array) for name, array in case.weights().items()}, case.name)

    def image(name: str) -> Tensor:
        pixels = torch.from_numpy(seeded.image(name, *size, case.seed)).float()
        return ((pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).permute(2, 0, 1)

    def blobs(name: str) -> Tensor:
        found = [[_blob(case, f"{name}.{n}.{k}", *size, ORIGINAL[name]) for k in range(shot)] for n in range(way)]
        return torch.from_numpy(np.array(found)).float()

    masks = blobs("mask")
    background = (1 - masks) * (1 - blobs("other"))
    truth = torch.from_numpy(np.stack([_blob(case, f"gt.{q}", *size, ORIGINAL["gt"]) for q in range(queries)])).long()
    with torch.inference_mode():
        query = network(torch.stack([image(f"query.{q}") for q in range(queries)]))
        support = torch.stack([network(torch.stack([image(f"support.{n}.{k}") for k in range(shot)])) for n in range(way)])
        grid = (query.shape[-2], query.shape[-1])
        small = maps_of(scores(rows_of_maps(query), *averaged_prototypes(support, masks, background)), grid)
        large = resize_grid(small, size)
        return {
            "logits_slice": large[..., ::3, ::3],
            "align_loss": alignment_loss(query, small, support, masks, background),
            "query_loss": known_entropy(large, truth),
            "features_slice": query[:, ::23],
            "pred": tied(large.argmax(dim=1), case.expected["pred"]),
        }


def _blob(case: Case, name: str, height: int, width: int, fraction: float) -> np.ndarray:
    plane = seeded.image(name, height, width, case.seed)[..., 0].astype(np.float32)
    found: np.ndarray = plane > np.quantile(plane, 1 - fraction)
    return found
