"""Boxes, points and scribbles to masks by Segment Anything (Kirillov et al. 2023) or SAM 2 (Ravi et al. 2024), where their weights are there.

The networks are those of `transformers`, which must be installed; weights are a folder that `save_pretrained` wrote, or a name in the hub's
cache. What they say of an image takes the place of what the task says; tags they cannot read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate, pad

from likewise.data import Labels
from likewise.data.geometry import by_longer_side, squash_image
from likewise.data.image_prompts import spread_along
from likewise.errors import UsageError, WeightsError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ALONG = 5  # points that stand for a scribble
HALF = np.float32(0.5)  # the networks count from the centres of pixels
KINDS = {"sam": ("SamModel", True), "sam2": ("Sam2Model", False), "sam2_video": ("Sam2Model", False)}  # network, and whether pictures keep their shape


@dataclass(frozen=True)
class SegmentAnything:
    """An opened network. side: of its square; padded: whether pictures keep their shape in it."""

    network: Any
    side: int
    padded: bool

    @classmethod
    def opened(cls, where: str | Path) -> Self:
        """The network of a folder or of a name in the hub's cache; nothing is downloaded.

        Raises UsageError without `transformers`, WeightsError without weights.
        """
        try:
            import transformers
        except ImportError as error:
            raise UsageError("the package transformers is not installed", where="by", remedy="pip install transformers") from error
        try:
            config = transformers.AutoConfig.from_pretrained(str(where), local_files_only=True)
        except (OSError, ValueError) as error:
            raise WeightsError(
                "there are no weights of Segment Anything",
                where=str(where),
                remedy="Name a folder with config.json and model.safetensors, fetched from the hub (facebook/sam-vit-base, facebook/sam2.1-hiera-small)",
            ) from error
        if config.model_type not in KINDS:
            raise WeightsError(f"it holds a network of the kind {config.model_type!r}", where=str(where), remedy=f"Take one of {', '.join(KINDS)}")
        name, padded = KINDS[config.model_type]
        try:
            network = getattr(transformers, name).from_pretrained(str(where), local_files_only=True)
        except OSError as error:
            raise WeightsError(f"its weights cannot be read ({error})", where=str(where), remedy="Fetch model.safetensors again") from error
        side = config.vision_config.image_size if padded else config.vision_config.backbone_config.image_size[0]
        return cls(network.eval().requires_grad_(False), int(side), padded)

    def chances(self, picture: NDArray[np.uint8], labels: Labels, numbers: Sequence[int]) -> dict[int, NDArray[np.floating]]:
        """How likely each pixel (H, W) is of each class that has boxes, points or scribbles in an image (H, W, 3).

        Every box is a prompt of its own, and the points and scribbles of a class are one; a class's chance is the largest of its prompts', each
        of which is the mask that the network trusts most.
        """
        asked = {number: list(prompts(labels, number)) for number in numbers}
        if not any(asked.values()):
            return {}
        view, shape = self._view(picture)
        with torch.inference_mode():
            seen = self.network.get_image_embeddings(view)
            return {number: np.max([self._answer(seen, prompt, labels.size, shape) for prompt in own], axis=0) for number, own in asked.items() if own}

    def _view(self, picture: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int]]:
        """The picture as the network takes it, (1, 3, S, S), and the (height, width) that it fills there."""
        shape = by_longer_side((picture.shape[0], picture.shape[1]), self.side) if self.padded else (self.side, self.side)
        pixels = torch.from_numpy(squash_image(picture, shape).copy()).permute(2, 0, 1).float() / 255
        normalised = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        return pad(normalised, (0, self.side - shape[1], 0, self.side - shape[0]))[None], shape

    def _answer(self, seen: Any, prompt: Prompt, size: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.floating]:
        """The chance (H, W) of one prompt."""
        scale = np.array([shape[1] / size[1], shape[0] / size[0]], np.float32)
        given: dict[str, Any] = {"image_embeddings": seen, "multimask_output": True}
        if prompt.box is not None:
            given["input_boxes"] = torch.from_numpy(prompt.box.reshape(1, 1, 2, 2) * scale - HALF).reshape(1, 1, 4)
        else:
            given["input_points"] = torch.from_numpy(prompt.points * scale - HALF)[None, None]
            given["input_labels"] = torch.from_numpy(prompt.signs)[None, None]
        found = self.network(**given)
        best = found.pred_masks[0, 0, int(found.iou_scores[0, 0].argmax())]
        whole = interpolate(best[None, None].float(), size=(self.side, self.side), mode="bilinear", align_corners=False)[..., : shape[0], : shape[1]]
        return np.asarray(interpolate(whole, size=size, mode="bilinear", align_corners=False)[0, 0].sigmoid().numpy())


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
