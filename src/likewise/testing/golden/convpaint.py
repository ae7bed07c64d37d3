"""Golden files of convpaint (`peer_convpaint_*`): features of VGG's first layers at several scales, patch features, rows, un-patching."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case

if TYPE_CHECKING:
    from torch import Tensor


def convpaint(case: Case) -> Mapping[str, Any]:
    """What the settings of the case ask for."""
    import torch

    with torch.inference_mode():
        return _layers(case) if "layers" in case.config else _patches(case)


def _layers(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.methods.convpaint import pictures, vgg

    config = case.config
    height, width = config["hw"]
    layers = [int(name.split()[0].removeprefix("features.")) for name in config["layers"]]
    reach, scales = vgg.reach_of(layers), config["scalings"]
    around = pictures.paddings((height, width), scales, reach)
    stated = {"padding": reach.padding, "stride": reach.stride, "paddings": [list(side) for side in around]}
    assert all(config.get(name, value) == value for name, value in stated.items()), f"paddings are {stated}"
    pixels = seeded.image("image", height, width, case.seed).transpose(2, 0, 1)
    maps = pictures.colours(pixels) if config["rgb"] else pictures.channels(pixels[:2])
    weights = {name: torch.from_numpy(array) for name, array in case.weights().items()}
    network = partial(vgg.hooked, weights, layers)
    features = pictures.pyramid(maps, network, scales, reach, alone=not config["rgb"], smooth=config.get("order", 0) == 1)
    rows, targets = pictures.labelled_rows(features, torch.from_numpy(case.stored["annotations"]))
    return {"features_slice": features[::5, ::3, ::4], "rows_slice": rows[:, ::5], "targets": targets}


def _patches(case: Case) -> Mapping[str, Any]:
    import torch

    from likewise.methods.convpaint import pictures

    patch, (height, width) = case.config["patch"], case.config["hw"]
    size = (height, width)
    padded = pictures.patch_padded(pictures.colours(seeded.image("image", height, width, case.seed).transpose(2, 0, 1)), patch)
    around = [[0, padded.shape[1] - size[0]], [0, padded.shape[2] - size[1]]]
    assert case.config.get("paddings", around) == around, f"paddings are {around}"
    tokens = _toy_tokens(padded, patch)
    rows, targets = pictures.labelled_rows(pictures.spread(tokens, patch, size), torch.from_numpy(case.stored["annotations"]))
    readout = torch.from_numpy(seeded.uniform("readout", (3, len(tokens)), case.seed))
    said = torch.softmax(torch.einsum("kc,chw->khw", readout, tokens), dim=0)
    probabilities = pictures.unpatched(said, patch, size, official=True)
    return {
        "rows_slice": rows[::3],
        "targets_slice": targets[::3],
        "probabilities_slice": probabilities[:, ::3, ::3],
        "segmentation_slice": (probabilities.argmax(dim=0) + 1)[::3, ::3].to(torch.uint8),
    }


def _toy_tokens(x: Tensor, patch: int) -> Tensor:
    """The features (12, h, w) that stand for a network's in these files: means, first pixels, means of squares, last pixels of patches."""
    import torch

    cells = x.unfold(1, patch, patch).unfold(2, patch, patch)  # (3, h, w, patch, patch)
    return torch.cat([cells.mean(dim=(3, 4)), cells[..., 0, 0], cells.square().mean(dim=(3, 4)), cells[..., -1, -1]])
