"""The pixel read-out: a small network on local features beside what the tokens say, fitted in seconds.

Fitted under changing light, because the next picture is taken under another one: without that, the read-out of one
photograph breaks as soon as brightness or colour cast change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

from likewise.functional.local import local_bank, relit
from likewise.methods.analogy.fitting import UNKNOWN, Scene, class_weight, entropy_and_dice, layer, minimise

HIDDEN = 64
ROWS = 240_000  # pixels that are drawn in all, so that memory and time do not grow with the examples
LIGHTS = 4  # under which each scene is seen, its own among them
_BATCH = 2048
_SCALE = 4.0  # of the tokens' answers (0..1) beside features of deviation 1


def fit_pixel(scenes: Sequence[Scene], count: int, *, steps: int = 300, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of a read-out for `count` classes (with the background), from scenes with labels."""
    with torch.inference_mode(False), torch.enable_grad():
        generator = torch.Generator().manual_seed(seed)
        rows, labels, weight = _rows(scenes, generator)
        centre, spread = rows.mean(0), rows.std(0) + 1e-3
        rows = (rows - centre) / spread
        classes = class_weight([scene.labels for scene in scenes], count)
        names = ("first", "second", "last")
        sizes = (rows.shape[1], HIDDEN, HIDDEN, count)
        found: dict[str, Tensor] = {}
        for place, name in enumerate(names):
            found[f"{name}.weight"], found[f"{name}.bias"] = layer(sizes[place], sizes[place + 1], generator, zero=name == "last")

        def loss() -> Tensor:
            batch = torch.randint(len(rows), (_BATCH,), generator=generator)
            return entropy_and_dice(_network(rows[batch], found), labels[batch], weight[batch], classes)

        minimise(found.values(), loss, steps, 5e-3, 1e-3)
        return {"centre": centre, "spread": spread, **{name: tensor.detach().clone() for name, tensor in found.items()}}


def apply_pixel(scene: Scene, kept: Mapping[str, Tensor]) -> Tensor:
    """Logits (C, h, w) of a scene."""
    rows = (_features(scene.picture, scene.answers) - kept["centre"]) / kept["spread"]
    return _network(rows, kept).T.reshape(-1, *scene.picture.shape[1:])


def _network(rows: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
    linear = torch.nn.functional.linear
    hidden = relu(linear(rows, kept["first.weight"], kept["first.bias"]))
    hidden = relu(linear(hidden, kept["second.weight"], kept["second.bias"]))
    return linear(hidden, kept["last.weight"], kept["last.bias"])


def _features(picture: Tensor, answers: Tensor) -> Tensor:
    """Rows (h * w, F + L) of a picture (3, h, w) and the tokens' answers (L, h, w)."""
    bank = torch.from_numpy(local_bank(np.ascontiguousarray(picture.permute(1, 2, 0).numpy())))
    return torch.cat([bank.flatten(0, 1), _SCALE * answers.flatten(1).T], dim=1)


def _rows(scenes: Sequence[Scene], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, labels and weights of pixels drawn from every scene under several lights.

    Half are drawn evenly, half with every class of the scene alike; weights undo the difference, so that the loss is
    that of all pixels and yet small classes are seen in every batch.
    """
    lights = max(1, min(LIGHTS, 12 // len(scenes) + 1))
    share = ROWS // (len(scenes) * lights)
    rows, labels, weights = [], [], []
    for scene in scenes:
        pictures = torch.cat([scene.picture[None], relit(scene.picture.expand(lights - 1, -1, -1, -1), generator)])
        known = torch.nonzero(scene.labels.flatten() != UNKNOWN)[:, 0]
        if not len(known):
            continue
        own = scene.labels.flatten()[known]
        area = torch.bincount(own).float()
        chance = 0.5 / len(own) + 0.5 / (area[own] * (area > 0).sum())
        for picture in pictures:
            chosen = torch.multinomial(chance, min(share, len(own)), replacement=True, generator=generator)
            rows.append(_features(picture, scene.answers)[known[chosen]])
            labels.append(own[chosen])
            weights.append(1 / (len(own) * chance[chosen]))
    return torch.cat(rows).clone(), torch.cat(labels), torch.cat(weights).clone()
