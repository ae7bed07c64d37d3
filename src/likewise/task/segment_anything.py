"""Boxes, points and scribbles to masks by Segment Anything or SAM 2 (see `backbones.segment_anything`), where their weights are there.

What they say of an image takes the place of what the task says; tags they cannot read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from likewise.backbones.segment_anything import HALF, Promptable
from likewise.data import Labels
from likewise.data.image_prompts import spread_along

ALONG = 5  # points that stand for a scribble


class SegmentAnything(Promptable):
    """A network that is asked about the labels of an image."""

    def chances(self, picture: NDArray[np.uint8], labels: Labels, numbers: Sequence[int]) -> dict[int, NDArray[np.floating]]:
        """How likely each pixel (H, W) is of each class that has boxes, points or scribbles in an image (H, W, 3).

        Every box is a prompt of its own, and the points and scribbles of a class are one; a class's chance is the largest of its prompts', each
        of which is the mask that the network trusts most.
        """
        asked = {number: list(prompts(labels, number)) for number in numbers}
        if not any(asked.values()):
            return {}
        view, shape = self.view(picture)
        with torch.inference_mode():
            seen = self.network.get_image_embeddings(view)
            return {number: np.max([self._answer(seen, prompt, labels.size, shape) for prompt in own], axis=0) for number, own in asked.items() if own}

    def _answer(self, seen: Any, prompt: Prompt, size: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.floating]:
        """The chance (H, W) of one prompt."""
        scale = np.array([shape[1] / size[1], shape[0] / size[0]], np.float32)
        given: dict[str, Any] = {}
        if prompt.box is not None:
            given["input_boxes"] = torch.from_numpy(prompt.box.reshape(1, 1, 2, 2) * scale - HALF).reshape(1, 1, 4)
        else:
            given["input_points"] = torch.from_numpy(prompt.points * scale - HALF)[None, None]
            given["input_labels"] = torch.from_numpy(prompt.signs)[None, None]
        masks, trust = self.asked(seen, given)
        best = self.whole(masks[0, int(trust[0].argmax())][None], shape)
        return np.asarray(interpolate(best[None], size=size, mode="bilinear", align_corners=False)[0, 0].sigmoid().numpy())


@dataclass(frozen=True)
class Prompt:
    """A box (4,), or points (P, 2) with signs (P,), 1 for in and 0 for out; in pixels of the image."""

    box: NDArray[np.float32] | None
    points: NDArray[np.float32]
    signs: NDArray[np.int64]


def prompts(labels: Labels, number: int) -> Iterator[Prompt]:
    """What is said of a class in an image, prompt by prompt; negative points alone say nothing."""
    none = np.zeros((0, 2), np.float32)
    for box in labels.boxes.get(number, ()):
        yield Prompt(np.asarray(box, np.float32), none, np.zeros(0, np.int64))
    positive, negative = labels.points.get(number, (none, none))
    along = [spread_along(np.asarray(line, np.float64), ALONG) for line in labels.scribbles.get(number, ())]
    inside = np.concatenate([np.asarray(positive, np.float32).reshape(-1, 2), *(np.asarray(part, np.float32) for part in along)])
    if len(inside):
        outside = np.asarray(negative, np.float32).reshape(-1, 2)
        yield Prompt(None, np.concatenate([inside, outside]), np.repeat(np.array([1, 0], np.int64), [len(inside), len(outside)]))


def joined_scores(scores: NDArray[np.floating], chances: dict[int, NDArray[np.floating]], numbers: Sequence[int]) -> NDArray[np.floating]:
    """Scores (N+1, H, W) of a task with those of classes that have chances (H, W) in their place; the background is where neither says more than a half."""
    against = scores[1:] / np.maximum(scores[1:] + scores[:1], 1e-9)
    classes = [chances.get(number, against[place]) for place, number in enumerate(numbers)]
    return np.stack([np.full(scores.shape[1:], 0.5, scores.dtype), *classes])
