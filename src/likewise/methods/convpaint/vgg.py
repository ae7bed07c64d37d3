"""The first layers of VGG-16 (Simonyan and Zisserman 2015), as convpaint hooks them; names as torchvision's: `features.N`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from likewise.backbones.vgg import STAGES
from likewise.methods.convpaint.pictures import Reach

DEFAULT_LAYERS, DEFAULT_SCALES = (0,), (1, 2, 4)


def _places() -> list[str]:
    """What stands at each place of `features`."""
    return [part for count in STAGES for part in ("conv", "relu") * count + ("pool",)]


PLACES = _places()


def check_layers(layers: Sequence[int]) -> None:
    """ValueError unless there is a convolution at every one of these places, and at least one place."""
    convolutions = [place for place, part in enumerate(PLACES) if part == "conv"]
    strange = [layer for layer in layers if layer not in convolutions]
    if strange or not layers:
        raise ValueError(f"there is no convolution at {strange or 'no place'} of VGG-16, only at {convolutions}")


def reach_of(layers: Sequence[int]) -> Reach:
    """How far the network looks at the deepest of these layers.

    >>> reach_of((0,)), reach_of((0, 2, 5))
    (Reach(padding=1, stride=1), Reach(padding=5, stride=2))
    """
    field, jump = 1, 1
    for part in PLACES[: max(layers) + 1]:
        field += {"conv": 2 * jump, "pool": jump, "relu": 0}[part]
        jump *= 2 if part == "pool" else 1
    return Reach(field // 2, jump)


def hooked(weights: Mapping[str, Tensor], layers: Sequence[int], images: Tensor) -> list[Tensor]:
    """Maps of convolutions at some places, in the order asked for, of normalised images (B, 3, H, W).

    The deepest comes before its ReLU, all others behind theirs. official: the ReLU writes into what was hooked. Raises ValueError for a
    place without a convolution, KeyError for weights that are missing.
    """
    check_layers(layers)
    found: dict[int, Tensor] = {}
    x = images
    for place, part in enumerate(PLACES[: max(layers) + 1]):
        if part == "conv":
            x = conv2d(x, weights[f"features.{place}.weight"], weights[f"features.{place}.bias"], padding=1)
            found[place] = x
        elif part == "relu":
            x = relu(x)
            found[place - 1] = x
        else:
            x = max_pool2d(x, 2)
    return [found[layer] for layer in layers]


def needed(layers: Sequence[int]) -> list[str]:
    """The names of the weights that some layers need."""
    convolutions = [place for place in range(max(layers) + 1) if PLACES[place] == "conv"]
    return [f"features.{place}.{kind}" for place in convolutions for kind in ("weight", "bias")]
