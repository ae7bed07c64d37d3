"""A support in parts: channels that the same examples have labels for share their images, and a memory each part.

In the memory of a task the tensors of part i are called `i.keys.LEVEL`, `i.values.LEVEL`, `i.biases.NAME`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.methods.base import Memory
from likewise.methods.vtm.channels import Planes
from likewise.methods.vtm.model import LEVELS, SupportMemory
from likewise.methods.vtm.tuning import Labelled


@dataclass(frozen=True)
class Part:
    """Channels, and the examples that have labels for every one of them."""

    channels: tuple[int, ...]
    examples: tuple[int, ...]


def parts_of(shown: Sequence[Tensor]) -> list[Part]:
    """The parts of a support, in the order of their first channels; shown: for each example which channels it has labels for, (C,) bool."""
    examples: dict[tuple[int, ...], list[int]] = {}
    for channel, having in enumerate(torch.stack(list(shown)).T):
        examples.setdefault(tuple(torch.nonzero(having).flatten().tolist()), []).append(channel)
    return [Part(tuple(channels), having) for having, channels in examples.items()]


def labelled(part: Part, crops: Sequence[tuple[Tensor, Planes]], categorical: Tensor) -> Labelled:
    """The crops of a part's examples as one batch, those left out that hold nothing known.

    crops: images (n, 3, h, w) and planes (n, C, h, w) of each example.
    """
    places = list(part.channels)
    images = torch.cat([crops[index][0] for index in part.examples])
    values = torch.cat([crops[index][1].values[:, places] for index in part.examples]).transpose(0, 1)
    known = torch.cat([crops[index][1].known[:, places] for index in part.examples]).transpose(0, 1)
    some = known.amax(dim=(0, 2, 3)) > 0
    pictures = [index for index in part.examples for _ in range(len(crops[index][0]))]
    kept = tuple(index for index, shown in zip(pictures, some.tolist(), strict=True) if shown)
    return Labelled(images[some], values[:, some], known[:, some], categorical[places], pictures=kept)


def tensors_of(prefix: str, memory: SupportMemory) -> dict[str, Tensor]:
    """A part's memory as tensors by name."""
    found = {f"{prefix}keys.{level}": tensor for level, tensor in enumerate(memory.keys)}
    found |= {f"{prefix}values.{level}": tensor for level, tensor in enumerate(memory.values)}
    return found | {f"{prefix}biases.{name}": tensor for name, tensor in memory.biases.items()}


def memory_of(prefix: str, memory: Memory, group: Sequence[int]) -> SupportMemory:
    """The inverse of `tensors_of`."""
    keys, values = (tuple(memory.tensors[f"{prefix}{kind}.{level}"] for level in range(LEVELS)) for kind in ("keys", "values"))
    start = f"{prefix}biases."
    return SupportMemory(keys, values, tuple(group), {name.removeprefix(start): t for name, t in memory.tensors.items() if name.startswith(start)})
