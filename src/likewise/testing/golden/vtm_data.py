"""Golden files of the data of VTM: decoded labels, crops, label augmentations, metrics (`vtm_data_*`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from likewise.testing.golden.case import Case
from likewise.testing.golden.vtm import given, strided

DRAWS = 2000  # random offsets whose least and largest are looked at


def data(case: Case) -> Mapping[str, Any]:
    """The outputs of the variant that the file is: labels, crops, augmentations or scores."""
    if "fivecrop_offsets" in case.expected:
        return _crops(case)
    if any(name.endswith(".official") for name in case.expected):
        return _metrics(case)
    return _labels(case) if any(name.endswith(".label") for name in case.expected) else _augmentations(case)


def _labels(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.episodes.taskonomy.decoding import decode, segmentation
    from likewise.functional.texture import edge_strength

    found: dict[str, Any] = {}
    for task in case.config["channels"]:
        decoded = decode(task, case.stored, each_alone=False)
        found |= {f"{task}.label": decoded.label, f"{task}.mask": decoded.known}
    found["edge_texture.label_each_alone"] = decode("edge_texture", case.stored).label
    pictures = torch.from_numpy(case.stored["rgb"]).movedim(-1, 1).float() / 255
    for kernel, sigma in case.config["edge_params"]["params"]:
        found[f"sobel_k{kernel}"] = edge_strength(pictures, kernel, sigma) if f"sobel_k{kernel}" in case.expected else None
    for name in case.expected:
        if alone := re.fullmatch(r"segment_semantic\.class(\d+)_alone", name):
            found[name] = segmentation(case.stored["segment_semantic"], int(alone[1]))
    return {name: value for name, value in found.items() if name in case.expected}


def _crops(case: Case) -> Mapping[str, Any]:
    from likewise.episodes.taskonomy.sampling import BASE, CROP, centre_offset, random_offset
    from likewise.functional.crops import blend, five_crops

    first, random = case.config["first_seed"], np.random.RandomState(0)
    seeded = [random_offset(np.random.RandomState(first + i)) for i in range(len(case.expected["random_offsets_seed_s_plus_i"]))]
    many = np.array([random_offset(random) for _ in range(DRAWS)])
    found: dict[str, Any] = {
        "random_offsets_seed_s_plus_i": np.array(seeded),
        "centre_offset": np.array(centre_offset()),
        "random_min_max": np.stack([many.min(axis=0), many.max(axis=0)]),
        "fivecrop_offsets": np.array(five_crops((BASE, BASE), (CROP, CROP))),
    }
    for name in case.meta["inputs"]:
        crops = given(case, name)
        output = next(key for key in case.expected if key.startswith("mixed_") and key != "mixed_256_mean" and (key == "mixed_256") == (name == "fc"))
        side = int(output.removeprefix("mixed_"))
        whole = blend(crops, five_crops((side, side), (crops.shape[-2], crops.shape[-1])), (side, side))
        found |= {output: strided(case, output, whole), f"{output}_mean": whole.mean()}
    return {name: value for name, value in found.items() if name in case.expected}


def _augmentations(case: Case) -> Mapping[str, Any]:
    from likewise.functional import label_augmentation as augment

    labels, others = given(case, "Y"), given(case, "A")
    own, other = augment.Mixed(labels, given(case, "M").float()), augment.Mixed(others, given(case, "MA").float())
    share = case.config["mixup_lambda"]
    found: dict[str, Any] = {}
    for name in case.expected:
        if name.endswith(".mean"):
            continue
        kind, _, rest = name.partition("_")
        numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", rest)]
        if kind == "jitter":
            whole = augment.jitter(labels, *numbers)
        elif kind == "polynomial":
            whole = augment.polynomial(labels, 1 / 3 if rest == "0.3333" else numbers[0])
        elif kind == "sigmoid":
            whole = augment.sigmoid(labels, numbers[0])
        elif kind == "blur":
            whole = augment.blurred(labels, int(numbers[0]), numbers[1])
        else:
            partner = augment.mirrored(own) if "official_flipped" in name else other
            mixed = augment.mixup(own, partner, share)
            whole = mixed.known if name.endswith("_mask") else mixed.label
        found |= {name: strided(case, name, whole), f"{name}.mean": whole.mean()}
    return {name: value for name, value in found.items() if name in case.expected}


def _metrics(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.episodes.taskonomy.decoding import metres
    from likewise.functional import dense_metrics as scores

    found: dict[str, Any] = {}
    for task in dict.fromkeys(name.partition(".")[0] for name in case.stored):
        if task == "seg":
            found |= _segmentation(case)
            continue
        predicted, truth, known = (torch.from_numpy(case.stored[f"{task}.{name}"]) for name in ("prediction", "label", "mask"))
        if task == "normal":
            found["normal.official"] = scores.official_normals(predicted, truth, known)
            own = scores.normal_errors(predicted, truth, known)
        else:
            found[f"{task}.official"] = scores.official_error(predicted, truth, known)
            own = scores.value_errors(predicted, truth, known)
            if task in case.config["depth_quantiles"]:
                own |= scores.depth_errors(metres(task, predicted), metres(task, truth), known[:, 0])
            elif f"{task}.sane.f_at_0.5_r0" in case.expected:
                own |= scores.edge_scores(predicted, truth, known)
        found |= {f"{task}.sane.{name}": value for name, value in own.items()}
    return {name: value for name, value in found.items() if name in case.expected}


def _segmentation(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.episodes.taskonomy.tasks import SEGMENTATION
    from likewise.functional.dense_metrics import binary_counts, binary_iou

    binary = torch.from_numpy(case.stored["seg.logits"]).sigmoid() > case.config["semseg_threshold"]
    totals = torch.zeros(2, 2, len(SEGMENTATION))
    for answer, truth, number in zip(binary.long(), torch.from_numpy(case.stored["seg.label"]).long(), case.stored["seg.class"], strict=True):
        totals[:, :, SEGMENTATION.index(int(number))] += binary_counts(answer, truth)
    pooled = binary_iou(totals.sum(dim=2))
    return {
        "seg.intersection": totals[0],
        "seg.union": totals[1],
        "seg.miou_all_12": binary_iou(totals)[1].mean(),
        "seg.fb_iou_all_12": pooled.mean(),
        "seg.iou_single_class": pooled[1],
    }
