"""The learner of HSNet: centre-pivot convolutions that squeeze the support's axes of a pyramid of correlations; official names of its tensors.

Source: Min et al. 2021, section 4, and its code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from likewise.layers.center_pivot import CenterPivotConv4d
from likewise.layers.correlation_pyramid import PyramidLearner, resize_query
from likewise.layers.correlation_transformer import mask_decoder, mask_logits

GROUPS = 4
WIDTHS = (16, 64, 128)
STRIDES = {5: 4, 3: 2}  # of the support in the blocks of levels, by kernel
LEVELS = ("layer4", "layer3", "layer2")  # names of the blocks, deepest first


def kernels_for(side: int) -> tuple[int, int, int]:
    """The kernels of the block of a level whose support has so many rows: as published for 13, 25 and 50. ValueError outside 9 to 64.

    >>> kernels_for(20)
    (5, 3, 3)
    """
    if not 9 <= side <= 64:
        raise ValueError(f"a support of {side}x{side} places cannot be squeezed to 2x2, 9 to 64 can")
    return (3, 3, 3) if side <= 16 else (5, 3, 3) if side <= 32 else (5, 5, 3)


class HsnetLearner(PyramidLearner, PyTorchModelHubMixin):
    """The part of HSNet that is trained: correlations of three levels in, logits of background and object out.

    channels: maps of each level, deepest first; kernels: of the three layers of each level's block; widths: behind each layer.
    2,573,794 numbers for a ResNet-50, 2,587,394 for a ResNet-101.
    """

    def __init__(
        self,
        channels: Sequence[int] = (3, 6, 4),
        kernels: Sequence[Sequence[int]] = ((3, 3, 3), (5, 3, 3), (5, 5, 3)),
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__()
        self.channels, self.squeezes = tuple(channels), tuple(tuple(own) for own in kernels)
        for name, count, own in zip(LEVELS, channels, kernels, strict=True):
            self.add_module(f"encoder_{name}", _block((count, *widths), [(kernel, STRIDES[kernel]) for kernel in own]))
        last = widths[-1]
        self.encoder_layer4to3 = _block((last,) * 4, [(3, 1)] * 3)
        self.encoder_layer3to2 = _block((last,) * 4, [(3, 1)] * 3)
        self.decoder1, self.decoder2 = mask_decoder(last)

    def forward(self, pyramid: Sequence[Tensor], masks: Tensor | None = None) -> Tensor:
        """Logits (X, 2, 2h, 2w) of correlations (X, T, h, w, s, t) of three levels, deepest first; h w of the shallowest.

        masks: not looked at, they were laid over the support before. Raises ValueError where the levels are not squeezed to one size of the support.
        """
        del masks
        deep, middle, shallow = (self.get_submodule(f"encoder_{name}")(x) for name, x in zip(LEVELS, pyramid, strict=True))
        if not deep.shape[4:] == middle.shape[4:] == shallow.shape[4:]:
            raise ValueError(f"the levels are squeezed to {[tuple(x.shape[4:]) for x in (deep, middle, shallow)]} places of the support")
        x = self.encoder_layer4to3(resize_query(deep, (middle.shape[2], middle.shape[3])) + middle)
        x = self.encoder_layer3to2(resize_query(x, (shallow.shape[2], shallow.shape[3])) + shallow)
        return mask_logits((self.decoder1, self.decoder2), x.mean(dim=(4, 5)))


def learner_like(tensors: Mapping[str, Tensor]) -> HsnetLearner:
    """A learner without numbers of the sizes of tensors by their names in it; KeyError or ValueError where they do not tell."""
    first = [tensors[f"encoder_{name}.0.conv1.weight"] for name in LEVELS]
    kernels = [[tensors[f"encoder_{name}.{place}.conv1.weight"].shape[-1] for place in (0, 3, 6)] for name in LEVELS]
    widths = [tensors[f"encoder_layer4.{place}.conv1.weight"].shape[0] for place in (0, 3, 6)]
    if any(kernel not in STRIDES for own in kernels for kernel in own) or any(width % GROUPS for width in widths):
        raise ValueError(f"it has kernels {kernels} and widths {widths}")
    with torch.device("meta"):
        return HsnetLearner([weight.shape[1] for weight in first], kernels, widths)


def untrained(channels: Sequence[int], sides: Sequence[int], seed: int = 0) -> HsnetLearner:
    """A learner for supports of so many rows a level with the initial numbers of a seed; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HsnetLearner(channels, [kernels_for(side) for side in sides]).eval()


def _block(widths: Sequence[int], layers: Sequence[tuple[int, int]]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inside, outside, (kernel, stride) in zip(widths, widths[1:], layers, strict=False):
        parts += [CenterPivotConv4d(inside, outside, kernel, stride), nn.GroupNorm(GROUPS, outside), nn.ReLU()]
    return nn.Sequential(*parts)
