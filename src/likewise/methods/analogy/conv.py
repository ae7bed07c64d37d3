"""The convolutional read-out: a small network of three levels on the picture and what the tokens say.

It works on 2 x 2 pixels at a time and gives each of them its own answer, which costs a quarter of a network on single
pixels and lost nothing. Fitted on crops that show every class, mirrored, turned, scaled and under changing light.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, group_norm, interpolate, max_pool2d, pad, pixel_shuffle, pixel_unshuffle, relu

from likewise.functional.local import relit
from likewise.methods.analogy.fitting import UNKNOWN, Scene, class_weight, entropy_and_dice, layer, minimise

CHANNELS = (24, 32, 48)
_CELL = 2  # pixels on a side that are read together
_CROP = 128
_BATCH = 8
_SCALE = 4.0  # of the tokens' answers (0..1) beside a picture of deviation 1


def fit_conv(scenes: Sequence[Scene], count: int, *, steps: int = 200, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of a read-out for `count` classes (with the background), from scenes with labels."""
    with torch.inference_mode(False), torch.enable_grad():
        generator = torch.Generator().manual_seed(seed)
        scenes = [Scene(scene.picture.clone(), scene.answers.clone(), scene.labels.clone()) for scene in scenes]
        classes = class_weight([scene.labels for scene in scenes], count)
        found = _new(3 + scenes[0].answers.shape[0], count, generator)
        source = _Crops(scenes, generator)

        def loss() -> Tensor:
            batch = source.batch()
            logits = _network(batch.picture, batch.answers, found).permute(0, 2, 3, 1).flatten(0, 2)
            labels = batch.labels.flatten()
            known = labels != UNKNOWN
            return entropy_and_dice(logits[known], labels[known], torch.ones(int(known.sum())), classes)

        minimise(found.values(), loss, steps, 4e-3, 1e-2)
        return {name: tensor.detach().clone() for name, tensor in found.items()}


def apply_conv(scene: Scene, kept: Mapping[str, Tensor]) -> Tensor:
    """Logits (C, h, w) of a scene."""
    _, height, width = scene.picture.shape
    multiple = _CELL * 2 ** (len(CHANNELS) - 1)
    margin = (0, -width % multiple, 0, -height % multiple)
    picture, answers = (pad(item[None], margin, mode="replicate") for item in (scene.picture, scene.answers))
    return _network(picture, answers, kept)[0, :, :height, :width]


def _new(wide: int, count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """A network whose last layer is zero: before it is fitted it says nothing."""
    first, second, third = CHANNELS
    blocks = {
        "top": (wide * _CELL**2, first),
        "middle": (first, second),
        "deep": (second, third),
        "up": (third + second, second),
        "out": (second + first, first),
    }
    found: dict[str, Tensor] = {}
    for name, (inner, outer) in blocks.items():
        found[f"{name}.0.weight"], found[f"{name}.0.bias"] = layer(inner, outer, generator, kernel=3)
        found[f"{name}.1.weight"], found[f"{name}.1.bias"] = layer(outer, outer, generator, kernel=3)
    found["last.weight"], found["last.bias"] = layer(first, count * _CELL**2, generator, kernel=1, zero=True)
    return found


def _network(pictures: Tensor, answers: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
    """Logits (B, C, h, w) of pictures (B, 3, h, w) and answers (B, L, h, w) whose sides are multiples of eight."""
    cells = pixel_unshuffle(torch.cat([(pictures - 0.45) / 0.225, _SCALE * answers], dim=1), _CELL)
    top = _block(cells.contiguous(memory_format=torch.channels_last), kept, "top")
    middle = _block(max_pool2d(top, 2), kept, "middle")
    deep = _block(max_pool2d(middle, 2), kept, "deep")
    middle = _block(torch.cat([interpolate(deep, scale_factor=2), middle], dim=1), kept, "up")
    top = _block(torch.cat([interpolate(middle, scale_factor=2), top], dim=1), kept, "out")
    return pixel_shuffle(conv2d(top, kept["last.weight"], kept["last.bias"]), _CELL)


def _block(maps: Tensor, kept: Mapping[str, Tensor], name: str) -> Tensor:
    maps = conv2d(maps, kept[f"{name}.0.weight"], kept[f"{name}.0.bias"], padding=1)
    maps = relu(group_norm(maps, min(8, maps.shape[1] // 4)))
    return relu(conv2d(maps, kept[f"{name}.1.weight"], kept[f"{name}.1.bias"], padding=1))


@dataclass(frozen=True)
class _Batch:
    picture: Tensor
    answers: Tensor
    labels: Tensor


class _Crops:
    """Batches of crops: each shows a pixel of a class drawn evenly, at a scale, mirrored and turned at random."""

    def __init__(self, scenes: Sequence[Scene], generator: torch.Generator) -> None:
        self._scenes, self._generator = scenes, generator
        self._places: dict[int, list[tuple[int, Tensor]]] = {}
        for index, scene in enumerate(scenes):
            for place in torch.unique(scene.labels).tolist():
                if place != UNKNOWN:
                    self._places.setdefault(place, []).append((index, torch.nonzero(scene.labels == place)))

    def batch(self) -> _Batch:
        """A new batch under changing light."""
        crops = [self._crop() for _ in range(_BATCH)]
        pictures = relit(torch.stack([crop.picture for crop in crops]), self._generator)
        return _Batch(pictures, torch.stack([crop.answers for crop in crops]), torch.stack([crop.labels for crop in crops]))

    def _draw(self, below: int) -> int:
        return int(torch.randint(below, (1,), generator=self._generator))

    def _crop(self) -> Scene:
        classes = sorted(self._places)
        shown = self._places[classes[self._draw(len(classes))]]
        index, pixels = shown[self._draw(len(shown))]
        scene, (row, column) = self._scenes[index], pixels[self._draw(len(pixels))].tolist()
        height, width = scene.labels.shape
        side = min(height, width, int(_CROP * float(torch.exp((torch.rand(1, generator=self._generator) - 0.5) * 0.8))))
        top = min(max(0, row - self._draw(side)), height - side)
        left = min(max(0, column - self._draw(side)), width - side)
        return self._turned(_resized(scene, top, left, side))

    def _turned(self, crop: Scene) -> Scene:
        turn = self._draw(8)
        parts = [crop.picture, crop.answers, crop.labels]
        flips = [axis for bit, axis in ((1, -1), (2, -2)) if turn & bit]
        parts = [part.flip(flips) for part in parts]
        picture, answers, labels = (part.transpose(-1, -2) if turn & 4 else part for part in parts)
        return Scene(picture, answers, labels)


def _resized(scene: Scene, top: int, left: int, side: int) -> Scene:
    """A square of a scene at the size of a crop."""
    window = (..., slice(top, top + side), slice(left, left + side))
    picture, answers, labels = scene.picture[window], scene.answers[window], scene.labels[window]
    if side == _CROP:
        return Scene(picture, answers, labels)
    size = (_CROP, _CROP)
    picture = interpolate(picture[None], size, mode="bilinear", align_corners=False, antialias=side > _CROP)[0]
    answers = interpolate(answers[None], size, mode="bilinear", align_corners=False)[0]
    return Scene(picture, answers, interpolate(labels[None, None].float(), size, mode="nearest")[0, 0].long())
