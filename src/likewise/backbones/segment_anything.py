"""Promptable networks, Segment Anything (Kirillov et al. 2023) and SAM 2 (Ravi et al. 2024), where their weights are there.

The networks are those of `transformers`; weights are a folder that `save_pretrained` wrote, or a name in the hub's cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate, pad

from likewise.data.geometry import by_longer_side, squash_image
from likewise.errors import WeightsError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = np.float32(0.5)  # the networks count from the centres of pixels
KINDS = {"sam": ("SamModel", True), "sam2": ("Sam2Model", False), "sam2_video": ("Sam2Model", False)}  # network, and whether pictures keep their shape


@dataclass(frozen=True)
class Promptable:
    """An opened network. side: of its square; padded: whether pictures keep their shape in it."""

    network: Any
    side: int
    padded: bool

    @classmethod
    def opened(cls, where: str | Path) -> Self:
        """The network of a folder or of a name in the hub's cache; nothing is downloaded.

        Raises WeightsError without weights, or for those of another network.
        """
        import transformers  # takes seconds

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

    def view(self, picture: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int]]:
        """The picture as the network takes it, (1, 3, S, S), and the (height, width) that it fills there."""
        shape = by_longer_side((picture.shape[0], picture.shape[1]), self.side) if self.padded else (self.side, self.side)
        pixels = torch.from_numpy(squash_image(picture, shape).copy()).permute(2, 0, 1).float() / 255
        normalised = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        return pad(normalised, (0, self.side - shape[1], 0, self.side - shape[0]))[None], shape

    def asked(self, seen: Any, given: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Logits of masks (P, M, h, w) over the square, and how good the network thinks they are (P, M), of what `get_image_embeddings` saw.

        given: prompts as the network's own interface takes them, of one image, P of them.
        """
        found = self.network(image_embeddings=seen, multimask_output=True, **given)
        return found.pred_masks[0].float(), found.iou_scores[0].float()

    def whole(self, logits: Tensor, shape: tuple[int, int]) -> Tensor:
        """Logits (P, h, w) over the square as those of the part (P, height, width) that the picture fills."""
        return interpolate(logits[None], size=(self.side, self.side), mode="bilinear", align_corners=False)[0, :, : shape[0], : shape[1]]
