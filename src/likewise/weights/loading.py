"""Weights in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import WeightsError
from likewise.weights.fetching import cached_path, fetch, record_of
from likewise.weights.registry import Entry, entry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LoadedWeights:
    """The tensors of weights, by the names of their source.

    sha256: of the source file, the one that tables, tasks and manifests name; layout: whose tensor names these are.
    """

    tensors: Mapping[str, Tensor]
    name: str
    sha256: str
    layout: str
    entry: Entry


def load(name: str, *, progress: bool = True) -> LoadedWeights:
    """The weights of a name, on the CPU, fetched first where the cache does not hold them.

    Raises UsageError for an unknown name, WeightsError where they cannot be had or were damaged.
    """
    described = entry(name)
    if record_of(name) is None or not cached_path(name).is_file():
        fetch(name, progress=progress)
    path, record = cached_path(name), record_of(name)
    damaged = WeightsError(
        "the weights in the cache are damaged", where=str(path), remedy=f"Type `likewise weights pull {name}`, which checks and fetches them again"
    )
    if record is None or path.stat().st_size != record["converted"]["size"]:
        raise damaged
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise damaged from error
    return LoadedWeights(tensors, name, record["source"]["sha256"], record["source"]["layout"], described)
