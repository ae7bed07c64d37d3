"""Proposals of a promptable network: a grid of points, of each the masks that it trusts, nearly equal ones once.

The rule is that of Segment Anything's automatic masks (Kirillov et al. 2023, appendix B), on the whole picture alone, and with masks compared in
place of their boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.segment_anything import HALF, Promptable
from likewise.errors import WeightsError
from likewise.proposals.merging import thinned
from likewise.proposals.source import Proposals
from likewise.weights.cache import sha256_of

SIDE = 256  # of the grid of proposals, on the longer side


@dataclass(frozen=True)
class Points:
    """A `Source`. folder, sha256: where the network is from; count: proposals at most; grid: points a side; trust: how good a mask must be by the
    network's own word; stable: IoU that a mask must have with itself at thresholds `offset` logits lower and higher; overlap: IoU above which two are
    one; batch: points that are asked about at once. The defaults are the published ones, but for `overlap` (0.7 of boxes there).
    """

    network: Promptable
    folder: str
    sha256: str
    count: int = 100
    grid: int = 32
    trust: float = 0.88
    stable: float = 0.95
    offset: float = 1.0
    overlap: float = 0.8
    batch: int = 64

    @classmethod
    def opened(cls, folder: Path, *, count: int = 100, sha256: str = "") -> Self:
        """That of a folder of weights. Raises WeightsError where there are none, or others than those of `sha256`."""
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise WeightsError("there are no weights of a promptable network", where=str(folder), remedy="Name a folder with config.json and model.safetensors")
        digest = sha256_of(files[0])
        if sha256 and digest != sha256:
            raise WeightsError(f"its weights have sha256 {digest[:12]}, the task was learned with {sha256[:12]}", where=str(folder), remedy="Learn it again")
        return cls(Promptable.opened(folder), str(folder), digest, count)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """None: such networks are large, so that a task names them."""
        return {}

    @property
    def facts(self) -> dict[str, Any]:
        """What a task notes."""
        return {"kind": "points", "folder": self.folder, "sha256": self.sha256}

    def wants(self) -> FeatureSpec:
        """The picture alone, as the network sees it."""
        return FeatureSpec(backbone=None, side=self.network.side, squash=not self.network.padded, pad=self.network.padded)

    def propose(self, item: ImageFeatures) -> Proposals:
        """The masks that the network trusts, the best first."""
        if item.pixels is None:
            raise ValueError("the features carry no picture")
        view, shape = self.network.view(np.ascontiguousarray(item.pixels.permute(1, 2, 0).numpy()))
        with torch.inference_mode():
            seen = self.network.network.get_image_embeddings(view)
            parts = [self._asked(seen, points, shape) for points in np.array_split(_spread(shape, self.grid), -(-(self.grid**2) // self.batch))]
        masks, trust = torch.cat([masks for masks, _ in parts]), torch.cat([trust for _, trust in parts])
        masks = masks[trust.argsort(descending=True, stable=True)]
        flat = (masks > 0).flatten(1).numpy()
        kept = thinned(flat, np.ones(flat.shape[1]), self.overlap, self.count)
        return Proposals(masks[torch.from_numpy(kept)].sigmoid())

    def _asked(self, seen: Any, points: NDArray[np.float32], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Logits (K, h, w) of the masks of some points that are good enough, and how good they are (K,)."""
        given = {"input_points": torch.from_numpy(points - HALF)[None, :, None], "input_labels": torch.ones(1, len(points), 1, dtype=torch.long)}
        masks, trust = (found.flatten(0, 1) for found in self.network.asked(seen, given))
        good = trust >= self.trust
        masks, trust = masks[good], trust[good]
        small, large = ((masks > edge).flatten(1).sum(dim=1) for edge in (self.offset, -self.offset))
        good = (small >= self.stable * large) & (small > 0)
        masks, trust = masks[good], trust[good]
        if not len(masks):
            return torch.zeros(0, *_fitted(shape)), trust
        return torch.nn.functional.interpolate(self.network.whole(masks, shape)[None], size=_fitted(shape), mode="bilinear", align_corners=False)[0], trust


def _spread(shape: tuple[int, int], grid: int) -> NDArray[np.float32]:
    """The points (G*G, 2), x before y, of a grid over (height, width), half a step from the borders."""
    ticks = (np.arange(grid) + 0.5) / grid
    down, across = np.meshgrid(ticks * shape[0], ticks * shape[1], indexing="ij")
    return np.stack([across, down], axis=-1).reshape(-1, 2).astype(np.float32)


def _fitted(shape: tuple[int, int]) -> tuple[int, int]:
    scale = SIDE / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
