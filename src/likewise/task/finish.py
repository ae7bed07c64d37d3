"""From a method's raw answer to a prediction at the size of the user's image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data import ClassTable, Prediction, Target
from likewise.data.images import ImageSource
from likewise.data.prediction import Writer
from likewise.data.target import KEYPOINT
from likewise.functional.calibration import PRESENT_FROM
from likewise.functional.links import Link, decode
from likewise.functional.upsample import argmax_enlarged, enlarge, softmax_enlarged
from likewise.methods.base import RawPrediction
from likewise.methods.keypoints import points_in


def finish(
    raw: RawPrediction,
    size: tuple[int, int],
    *,
    classes: ClassTable,
    targets: Mapping[str, Target],
    image: ImageSource | None,
    writer: Writer | None = None,
) -> Prediction:
    """The prediction (H, W) of a raw one.

    A class whose presence is below a half takes no pixel: labels and `present` never contradict each other in that,
    unless the method wants its published answer as it is (`RawPrediction.gated`).
    """
    numbers = np.array([0, *classes.numbers], classes.dtype)
    names = list(classes.names.values())
    presence = {} if raw.presence is None else {name: float(p) for name, p in zip(names, raw.presence, strict=True)}
    labels: NDArray[Any] = np.zeros(size, classes.dtype)
    maker = None
    if raw.logits is not None:
        logits = np.ascontiguousarray(raw.logits.cpu().float().numpy())
        gated = logits.copy()
        absent = [place for place, name in enumerate(names, start=1) if raw.gated and presence.get(name, 1.0) < PRESENT_FROM]
        gated[absent] = -np.inf
        kept = np.array([place for place in range(len(numbers)) if place not in absent])
        labels = argmax_enlarged(gated[kept], size, numbers[kept], corners=raw.corners)

        def maker() -> NDArray[np.float32]:
            return softmax_enlarged(logits, size, corners=raw.corners)

    whole = {} if raw.probabilities is None else {name: float(p) for name, p in zip(names, raw.probabilities, strict=True)}
    by_class = {} if raw.class_confidence is None else {name: float(c) for name, c in zip(names, raw.class_confidence, strict=True)}
    return Prediction(
        classes=classes,
        targets=targets,
        labels=labels,
        present=presence,
        probabilities=whole,
        dense={name: _values(raw, name, size, targets[name]) for name in raw.dense if not name.startswith(KEYPOINT)},
        keypoints={**points_in({name: planes.cpu().float().numpy() for name, planes in raw.dense.items()}, size), **raw.keypoints},
        confidence=float(min(max(raw.confidence, 0.0), 1.0)),
        class_confidence={name: value for name, value in by_class.items() if presence.get(name, 1.0) >= PRESENT_FROM},
        image=image,
        score_maker=maker,
        writer=writer,
    )


def _values(raw: RawPrediction, name: str, size: tuple[int, int], target: Target) -> NDArray[np.float32]:
    """A dense map (H, W) or (H, W, C): components enlarged, decoded, clipped to the target's limits.

    Of a density the mean is that of the method's own map, so that the count is the same at any size.
    """
    import torch

    components = np.ascontiguousarray(raw.dense[name].cpu().float().numpy())
    enlarged = np.stack([enlarge(np.ascontiguousarray(plane), size) for plane in components], axis=-1)
    link: Link = raw.links.get(name, "identity")
    values = decode(torch.from_numpy(enlarged), link).numpy()
    if np.isfinite(target.limits).any():
        values = np.clip(values, *target.limits)
    if target.kind == "density":
        own, now = float(np.clip(components, *target.limits).mean(dtype=np.float64)), float(values.mean(dtype=np.float64))
        values = (values * (own / now if now > 0 else 0.0)).astype(np.float32)
    return values[:, :, 0] if values.shape[2] == 1 else values
