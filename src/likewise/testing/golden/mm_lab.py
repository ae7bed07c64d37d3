"""Golden files of the laboratory of MM-Former: losses, episodes, preparation of images, targets, metrics."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case
from likewise.testing.golden.mm import given, stat

if TYPE_CHECKING:
    from torch import Tensor


def losses(case: Case) -> Mapping[str, Any]:
    """The set loss of the first stage, or the dice and soft IoU of both."""
    return _set_loss(case) if "num_points" in case.config else _few_shot(case)


def _few_shot(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.methods.mm_former.objective import dice_of_both, soft_iou

    labels = given(case, "labels")
    truth = torch.where(labels == 255, 0, labels).float()
    prediction = given(case, "prediction").requires_grad_()
    loss = dice_of_both(prediction.sigmoid(), truth)
    (gradient,) = torch.autograd.grad(loss, prediction)
    return {"few_shot": loss, "grad_stat": stat(gradient) * 1000, "soft_iou": soft_iou(given(case, "proposals"), truth)}


def _set_loss(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.methods.mm_former.objective import SetLoss, set_loss

    own = case.config
    config = SetLoss(
        points=own["num_points"],
        more=own["oversample_ratio"],
        keen=own["importance_sample_ratio"],
        weight_mask=own["weight_mask"],
        weight_dice=own["weight_dice"],
    )
    calls = iter(case.meta["inputs"]["random_numbers"]["calls_in_order"])

    def uniform(shape: Sequence[int]) -> Tensor:
        name, stated = next(calls)
        assert list(stated) == list(shape), (stated, shape)
        return torch.from_numpy(seeded.uniform(name, shape, case.seed, 0, 1))

    height, width = own["target_size"]
    targets = [
        torch.from_numpy(np.unpackbits(case.stored[f"masks_{place}"])[: count * height * width].reshape(count, height, width)).float()
        for place, count in enumerate(own["targets"])
    ]
    sets = [given(case, name).requires_grad_() for name in case.meta["inputs"] if name.startswith("logits.")]
    found: dict[str, Any] = {}
    total = torch.zeros(())
    for place, logits in enumerate(sets):
        result = set_loss(logits, targets, uniform, config)
        end, title = ("", "last") if place == 0 else (f"_{place - 1}", f"aux{place - 1}")
        found |= {f"loss_mask{end}": result.mask, f"loss_dice{end}": result.dice}
        for image, (cost, pair) in enumerate(zip(result.costs, result.pairs, strict=True)):
            found |= {f"cost_{title}_{image}": cost, f"match_{title}_{image}": pair}
        total = total + own["weight_mask"] * result.mask + own["weight_dice"] * result.dice
    (gradient,) = torch.autograd.grad(total, sets[0])
    return found | {"total": total, "grad_last_stat": stat(gradient), "grad_last": gradient[..., ::4, ::4] * 100}


def episodes(case: Case) -> Mapping[str, Any]:
    """The episodes of an evaluation."""
    from likewise.episodes.mm_former import evaluation_episodes

    numbers = case.config["novel"]
    shown = [[numbers[place] for place in np.flatnonzero(row)] for row in case.stored["classes_in_image"]]
    listed = {number: np.flatnonzero(case.stored["in_class_list"][:, place]).tolist() for place, number in enumerate(numbers)}
    found = evaluation_episodes(shown, listed, case.config["shots"], random.Random(case.seed), count=len(case.expected["query"]))  # noqa: S311 (as published)
    return {
        "query": np.array([each.query for each in found], np.int32),
        "class": np.array([each.number for each in found], np.int32),
        "support": np.array([each.support for each in found], np.int32),
    }


def preprocess(case: Case) -> Mapping[str, Any]:
    """Images and labels made square, or the sizes of training images."""
    import torch

    from likewise.data.geometry import squash_image
    from likewise.episodes.mm_former import shortest_edge_size
    from likewise.functional.resize import resize_nearest
    from likewise.testing.golden.mm import normalised

    if "sizes" in case.expected:
        asked = case.expected["sizes"][:, :3].tolist()
        rows = [[height, width, edge, *shortest_edge_size((height, width), edge, case.config["max_size"])] for height, width, edge in asked]
        return {"sizes": np.array(rows, np.int64)}
    side = case.config["size"]
    image = squash_image(given(case, "image")[0].permute(1, 2, 0).numpy().astype(np.uint8), (side, side))
    plain = normalised(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float())[0, :, :side, :side]
    return {"image": image, "label": resize_nearest(given(case, "label"), (side, side)), "normalised": plain[:, ::4, ::4]}


def targets(case: Case) -> Mapping[str, Any]:
    """What a training image is labelled with."""
    from likewise.episodes.mm_former import PADDING, UNKNOWN, chosen_class, held_out, padded, targets_of, trained_on

    own = case.config
    image = given(case, "image")[0].permute(1, 2, 0).numpy().astype(np.uint8)
    labels = case.stored["label"]
    chosen = own["chosen"] if own["chosen"] is not None else chosen_class(own["candidates"], random.Random(case.seed))  # noqa: S311 (as published)
    if own["pad"] > 0:
        image, labels = padded(image, own["pad"], PADDING), padded(labels, own["pad"], UNKNOWN)
    found = targets_of(labels, chosen, held_out("pascal", own["split"]) if own["train"] else ())
    return {
        "classes": found.classes,
        "masks": found.masks.astype(np.uint8),
        "label": found.label,
        "subclass_index": np.array([(trained_on if own["train"] else held_out)("pascal", own["split"]).index(chosen)]),
        "padded_image": image.transpose(2, 0, 1)[:, ::4, ::4],
    }


def metrics(case: Case) -> Mapping[str, Any]:
    """The mIoU and FB-IoU of an evaluation."""
    import torch

    from likewise.functional.episode_metrics import label_overlap
    from likewise.functional.resize import resize_corners, resize_nearest

    own, labels, classes = case.config, given(case, "labels"), case.stored["classes"]
    counts = np.zeros((2, 2, own["novel_classes"]), np.int64)
    right, wanted = np.zeros(2), np.zeros(2)
    for episode, number in enumerate(classes.tolist()):
        truth = labels[episode]
        small = resize_nearest(truth, tuple(own["score_size"]))
        foreground = given(case, f"fg.{episode}")[0] + 0.4 * (small == 1)
        scores = resize_corners(torch.stack([1 - foreground, foreground]), (truth.shape[0], truth.shape[1]))
        predicted, real = scores.argmax(dim=0).numpy(), truth.numpy()
        known = real != 255
        counts[:, :, number] += label_overlap(predicted, np.where(known, real, 0), 2, ~known)
        right += [((predicted == value) & (real == value)).sum() for value in (0, 1)]
        wanted += [(real == value).sum() for value in (0, 1)]
    wide = counts.astype(np.float64)
    by_class = wide[0, 1] / (wide[1, 1] + 1e-10)
    pooled = wide.sum(axis=2)
    both = pooled[0] / (pooled[1] + 1e-10)
    return {
        "mIoU": np.float32(100 * by_class.mean()),
        "class_iou_reported_order": np.roll(by_class, -1).astype(np.float32),
        "FB_IoU": np.float32(100 * both.mean()),
        "FB_mAcc": np.float32(100 * (right / wanted).mean()),
        "FB_allAcc": np.float32(100 * right.sum() / wanted.sum()),
        "FB_iou": both.astype(np.float32),
        "FB_accuracy": (right / wanted).astype(np.float32),
    }
