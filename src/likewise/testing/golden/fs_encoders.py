"""Golden files of the encoders of classic few-shot learners (`fs_encoder_*`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from likewise.testing.golden.case import Case
from likewise.testing.golden.fs_inputs import strided, tensor_of, weights_of

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 3000  # numbers of an output


def encoder(case: Case) -> Mapping[str, Any]:
    """Features in evaluation mode, then in training mode, and the running statistics behind that."""
    import torch

    from likewise.backbones.encoders import encoder_of

    network, images = encoder_of(case.config["encoder"], weights_of(case)), tensor_of(case, "x")
    found: dict[str, Any] = {}
    with torch.no_grad():
        for mode in ("eval", "train"):
            features = network.train(mode == "train")(images)
            found |= {mode: _every(case, features), f"{mode}_stat": torch.stack([features.mean(), features.std(correction=0)])}
    state = network.state_dict()
    return found | {name: state[name.removeprefix("after.")] for name in case.expected if name.startswith("after.")}


def _every(case: Case, features: Tensor) -> Tensor:
    """The numbers that the notes ask for."""
    stride = re.search(r"every (\d+)-th", case.meta.get("notes") or "")
    return features.flatten()[:: int(stride[1])] if stride else strided(features, LIMIT)
