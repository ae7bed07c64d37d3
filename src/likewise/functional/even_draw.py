"""A bounded part of many things, drawn evenly and always the same: names by their hash, rows by one fixed permutation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from heapq import nsmallest

import torch
from torch import Tensor


def drawn_names(names: Iterable[str], most: int) -> list[str]:
    """At most `most` of the names, sorted; which ones depends on the names alone, not on their order, and memory is that of `most`.

    >>> drawn_names(["b", "a", "c"], 5)
    ['a', 'b', 'c']
    """
    return sorted(nsmallest(most, names, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()))


def drawn_rows(count: int, most: int) -> Tensor:
    """The places of at most `most` of `count` rows, in the order in which they are drawn."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most]
