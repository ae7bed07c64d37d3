"""The one place that turns keypoints into what methods of dense values learn: a heat map for each name.

What an example says of a name: a point is a bump of height 1 around it; None, "not visible", is a map of zeros; a name
that an example does not mention is unknown there, so the example has no map of it. The maps stand under names that no
person's target may have (`data.target.KEYPOINT`); `points_in` reads a method's answers back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from likewise.data import LabelKind, Labels, Support, Target
from likewise.data.geometry import fitted_size
from likewise.data.target import KEYPOINT
from likewise.functional.heatmaps import peak, point_map, probability, spread_of
from likewise.methods.base import Method

_LONGEST = 256  # cells of a map along the longer side: a bump is eight across, and a hundred maps are small
Point = tuple[float, float, float]


def with_heatmaps(method: type[Method] | Method, support: Support) -> Support:
    """The support that a method learns from: with heat maps for keypoints where it takes dense values and no keypoints."""
    if not support.keypoints or LabelKind.KEYPOINT in method.takes or LabelKind.DENSE not in method.takes:
        return support
    examples = [dataclasses.replace(example, labels=_mapped(example.labels)) for example in support.examples]
    targets = {**support.targets, **{KEYPOINT + name: Target(kind="heatmap") for name in support.keypoints}}
    return Support.of(examples, support.classes, targets, keypoints=())


def points_in(dense: Mapping[str, NDArray[np.floating]], size: tuple[int, int]) -> dict[str, Point]:
    """{name: (x, y, probability)} of the answers (1, h, w) to heat maps of keypoints among dense maps, for an image of `size` (H, W).

    The probability is that of the peak's height (`functional.heatmaps.probability`): heights of left-out peaks are not known here.
    """
    found = {}
    for name, values in dense.items():
        if name.startswith(KEYPOINT):
            x, y, height = peak(values.reshape(values.shape[-2:]), size)
            found[name.removeprefix(KEYPOINT)] = (x, y, probability(height))
    return found


def _mapped(labels: Labels) -> Labels:
    grid, spread = fitted_size(labels.size, _LONGEST, shortest=1), spread_of(labels.size)
    maps = {KEYPOINT + name: point_map(point, labels.size, grid, spread)[:, :, None] for name, point in labels.keypoints.items()}
    return dataclasses.replace(labels, keypoints={}, dense={**labels.dense, **maps})
