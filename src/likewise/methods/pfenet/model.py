"""PFENet: a prior of where the class may be, the class's vector, and a pyramid that is refined from fine to coarse (Tian et al. 2020).

Names of the tensors are those of the published code, behind `learner.` also where that has them apart (`down_query`, `down_supp`). Letters: X pairs of
a query and a class, D width of the deep maps, C channels of the middle ones, h w places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from likewise.functional.resize import resize_corners

WIDTH, BINS = 256, 4
AREA = 0.0005  # added to the area of a mask
EPSILON = 1e-7  # added to products of lengths, and to the spread of a prior


def bins_for(side: int, count: int = BINS) -> tuple[int, ...]:
    """Sides of the pyramid's maps: the map's own, and half of it rounded up, and so on; as published for 60 and 50.

    >>> bins_for(50)
    (50, 25, 13, 7)
    """
    return tuple(-(-side // 2**level) for level in range(count))


def support_vector(features: Tensor, masks: Tensor) -> Tensor:
    """The mean (X, C) of maps (X, C, h, w) under masks (X, H, W), resized with their corners on those of the maps."""
    weight = resize_corners(masks.float(), (features.shape[-2], features.shape[-1]))[:, None]
    return (features * weight).sum(dim=(2, 3)) / (weight.sum(dim=(2, 3)) + AREA)


def under(deep: Tensor, masks: Tensor) -> Tensor:
    """Deep maps (X, D, h, w) of a support times its masks (X, H, W), place by place: (X, D, h*w)."""
    return (deep * resize_corners(masks.float(), (deep.shape[-2], deep.shape[-1]))[:, None]).flatten(2)


def prior(query: Tensor, support: Tensor, *, others: bool = False) -> Tensor:
    """How like each place of the query is to the likest place of the support, from 0 to 1 in each map: (X, D, h, w), (X, D, S) -> (X, 1, h, w).

    others: whether places without length, whose cosine is 0, were left out of the support.
    """
    flat = query.flatten(2)
    lengths = support.norm(dim=1)[:, :, None] * flat.norm(dim=1)[:, None]
    best = (support.transpose(1, 2) @ flat / (lengths + EPSILON)).amax(dim=1)
    best = best.clamp_min(0) if others else best
    low, high = best.amin(dim=1, keepdim=True), best.amax(dim=1, keepdim=True)
    return ((best - low) / (high - low + EPSILON)).reshape(-1, 1, *query.shape[2:])


def scrambled(support: Tensor) -> Tensor:
    """Places (N, D, S) of N classes as the published code reads them, channels and classes mixed: (1, D, N*S)."""
    return support.reshape(1, support.shape[1], -1)


class PfenetLearner(nn.Module, PyTorchModelHubMixin):
    """The part of PFENet that is trained. 10,817,034 numbers as published.

    channels: of the joined middle maps; width: of its own; bins: levels of the pyramid.
    """

    def __init__(self, channels: int = 1536, width: int = WIDTH, bins: int = BINS) -> None:
        super().__init__()
        self.channels, self.bins = channels, bins
        self.down_query, self.down_supp = (nn.Sequential(*_mixed(channels, width), nn.Dropout2d(0.5)) for _ in range(2))
        self.init_merge = nn.ModuleList(_mixed(2 * width + 1, width) for _ in range(bins))
        self.alpha_conv = nn.ModuleList(_mixed(2 * width, width) for _ in range(bins - 1))
        self.beta_conv = nn.ModuleList(_twice(width) for _ in range(bins))
        self.inner_cls = nn.ModuleList(_classifier(width) for _ in range(bins))
        self.res1, self.res2 = _mixed(bins * width, width), _twice(width)
        self.cls = _classifier(width)

    def forward(self, query: Tensor, vector: Tensor, priors: Tensor, bins: Sequence[int] = (), *, auxiliary: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Logits (X, 2, h, w), and those of the levels of the pyramid (X, 2, b, b), of reduced queries (X, W, h, w), vectors (X, W), priors (X, 1, h, w).

        bins: sides of the levels, none for `bins_for` of the query, whose longer side counts; auxiliary: False leaves the logits of the levels out.
        """
        size = (query.shape[-2], query.shape[-1])
        sides = bins or bins_for(max(size), self.bins)
        levels: list[Tensor] = []
        within: list[Tensor] = []
        for place, side in enumerate(sides):
            square = (side, side)
            seen = adaptive_avg_pool2d(query, square)
            x = self.init_merge[place](torch.cat([seen, vector[:, :, None, None].expand(-1, -1, *square), resize_corners(priors, square)], dim=1))
            if place:
                x = x + self.alpha_conv[place - 1](torch.cat([x, resize_corners(levels[-1], square)], dim=1))
            x = x + self.beta_conv[place](x)
            if auxiliary:
                within.append(self.inner_cls[place](x))
            levels.append(resize_corners(x, size))
        x = self.res1(torch.cat(levels, dim=1))
        logits: Tensor = self.cls(x + self.res2(x))
        return logits, within


def learner_like(tensors: Mapping[str, Tensor]) -> PfenetLearner:
    """A learner without numbers of the sizes of tensors by their names in it; KeyError or ValueError where they do not tell."""
    width, channels, *_ = tensors["down_query.0.weight"].shape
    bins = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("init_merge."))
    with torch.device("meta"):
        return PfenetLearner(channels, width, bins)


def untrained(channels: int, width: int = WIDTH, seed: int = 0) -> PfenetLearner:
    """A learner for so many channels with the initial numbers of a seed; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PfenetLearner(channels, width).eval()


def _mixed(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.ReLU())


def _twice(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.ReLU())


def _classifier(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(width, 2, 1))
