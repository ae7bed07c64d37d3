"""What golden files of the classic few-shot learners (`fs_*`) share: their inputs by recipe, and strided outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case

if TYPE_CHECKING:
    from torch import Tensor


def tensor_of(case: Case, key: str) -> Tensor:
    """The input `key` of a case, made by its recipe or read from the file: float32, or what was stored."""
    import torch

    return torch.from_numpy(array_of(case, key))


def array_of(case: Case, key: str) -> NDArray[Any]:
    """The input `key` of a case as an array, in the shape that its recipe says.

    Raises ValueError for a recipe of an unknown sort.
    """
    recipe = case.meta["inputs"][key]
    if recipe == "stored" or "stored" in recipe:
        return case.stored[key]
    sort = recipe["seeded"]
    if sort == "uniform":
        return seeded.uniform(key, recipe["shape"], case.seed, recipe["low"], recipe["high"])
    if sort == "episode":
        return _episode(key, recipe, case.seed)
    if sort == "images":
        return _images(key, recipe, case.seed)
    raise ValueError(f"the input {key} is of an unknown sort, {sort!r}")


def weights_of(case: Case) -> dict[str, Tensor]:
    """The seeded tensors of the layout by their official names."""
    import torch

    return {name: torch.from_numpy(array) for name, array in case.weights().items()}


def limit_of(case: Case) -> int:
    """How many values of a strided output a case keeps at most, by its notes; ValueError where they do not say."""
    found = re.search(r"at most (\d+) values", case.meta.get("notes", ""))
    if found is None:
        raise ValueError("the notes do not say how many values a strided output keeps")
    return int(found[1])


def strided(values: Tensor, limit: int) -> Tensor:
    """At most `limit` of the values (any shape), flattened, evenly spaced from the first."""
    flat = values.detach().flatten()
    return flat[:: max(1, -(-flat.numel() // limit))]


def _episode(key: str, recipe: Mapping[str, Any], seed: int) -> NDArray[np.float32]:
    """Items (N, M, ...) that share a part with their class."""
    n_way, count, *shape = recipe["shape"]
    by_class, by_item = np.float32(recipe["class"]), np.float32(recipe["item"])
    found = np.empty(recipe["shape"], np.float32)
    for n in range(n_way):
        common = by_class * seeded.uniform(f"{key}.class{n}", shape, seed)
        for m in range(count):
            found[n, m] = common + by_item * seeded.uniform(f"{key}.item{n}.{m}", shape, seed)
    return np.maximum(found, np.float32(0)) if recipe.get("then") == "relu" else found


def _images(key: str, recipe: Mapping[str, Any], seed: int) -> NDArray[np.float32]:
    """Images (B, 3, H, W) with ImageNet's mean and deviation."""
    from likewise.backbones.resnet import IMAGENET_MEAN, IMAGENET_STD

    pixels = np.stack([seeded.image(f"{key}.{index}", recipe["height"], recipe["width"], seed) for index in range(recipe["count"])])
    normal = (pixels.astype(np.float32) - np.asarray(IMAGENET_MEAN, np.float32)) / np.asarray(IMAGENET_STD, np.float32)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))
