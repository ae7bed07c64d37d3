"""VGG-16 (Simonyan and Zisserman 2015) as HSNet reads it, with the names of torchvision: `features.N`; and as PANet does, dilated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import filled
from likewise.errors import WeightsError

STAGES = (2, 2, 3, 3, 3)  # convolutions, each with a ReLU, before each of the pools
_REMEDY = "Take a VGG-16 as torchvision names its tensors"


class Vgg16(nn.Module):
    """The network without its classifier. widths: channels of each stage."""

    features: nn.Sequential

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512, 512)) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before = 3
        for count, width in zip(STAGES, widths, strict=True):
            for _ in range(count):
                parts += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            parts.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*parts)

    def taps(self, images: Tensor) -> list[list[Tensor]]:
        """Convolutions of the last two stages before their ReLU, and the last pool, of normalised images (B, 3, H, W)."""
        x = images
        convolved: list[Tensor] = []
        for part in self.features:
            x = part(x)
            if isinstance(part, nn.Conv2d):
                convolved.append(x)
        return [convolved[-6:-3], convolved[-3:], [x]]

    def tapped(self, side: int) -> list[tuple[int, int]]:
        """Of each stage that `taps` gives how many maps, and of how many rows for a square of `side` pixels."""
        return [(3, side // 8), (3, side // 16), (1, side // 32)]


class DilatedVgg(nn.Module):
    """The network of PANet (Wang et al. 2019): maps at an eighth of the size, the last stage dilated; `features.STAGE.PLACE` as its code names them.

    widths: channels of each stage.
    """

    features: nn.Sequential

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512, 512)) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before, last = 3, len(STAGES) - 1
        for stage, (count, width) in enumerate(zip(STAGES, widths, strict=True)):
            dilation = 2 if stage == last else 1
            layers: list[nn.Module] = []
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, 1, dilation, dilation), nn.ReLU()]
                before = width
            if stage == last:
                parts.append(nn.Sequential(*layers[:-1]))  # the answer is that of the last convolution itself, with negative values
            else:
                parts += [nn.Sequential(*layers), nn.MaxPool2d(3, 1 if stage == last - 1 else 2, 1)]
        self.features = nn.Sequential(*parts)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, D, h, w) of normalised images (B, 3, H, W), each side of h a third time half of H, rounded up."""
        found: Tensor = self.features(images)
        return found


def nested_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions of torchvision's VGG-16 by the names of `DilatedVgg`, one for one; the classifier is left out. Others stay as they are."""
    flat = [f"features.{index}" for index in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
    nested = [f"features.{2 * stage}.{2 * place}" for stage, count in enumerate(STAGES) for place in range(count)]
    names = {f"{old}.{kind}": f"{new}.{kind}" for old, new in zip(flat, nested, strict=True) for kind in ("weight", "bias")}
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
    return {names[name]: tensor for name, tensor in own.items()} if own.keys() == names.keys() else own


def dilated_vgg_of(tensors: Mapping[str, Tensor], where: str = "checkpoint") -> DilatedVgg:
    """The network of PANet's tensors or of torchvision's, its widths taken from them, in evaluation mode and frozen.

    Raises WeightsError for tensors that are missing, unexpected or misshapen.
    """
    own = nested_names(tensors)
    try:
        with torch.device("meta"):
            network = DilatedVgg([own[f"features.{2 * stage}.0.weight"].shape[0] for stage in range(len(STAGES))])
    except KeyError as error:
        raise WeightsError(f"its VGG is not whole (no {error})", where=where, remedy=_REMEDY) from error
    return filled(network, own, where)


def vgg_of(tensors: Mapping[str, Tensor], where: str = "checkpoint") -> Vgg16:
    """The network of torchvision's tensors, its widths taken from them, in evaluation mode and frozen; the classifier is left out.

    Raises WeightsError for tensors that are missing, unexpected or misshapen.
    """
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
    try:
        with torch.device("meta"):
            network = Vgg16([own[f"features.{index}.weight"].shape[0] for index in (0, 5, 10, 17, 24)])
    except KeyError as error:
        raise WeightsError(f"its VGG is not whole (no {error})", where=where, remedy=_REMEDY) from error
    return filled(network, own, where)
