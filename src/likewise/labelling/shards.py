"""Shares of a list that several machines label without knowing of each other.

What goes through the network together stays together: the list is cut into the windows of the plan, and a window belongs to one shard, by the hash of
the path of its first image. So the shards of a list give, together, the bytes of a run over all of it (see `labelling.merging`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

from likewise.errors import UsageError
from likewise.labelling.plan import windows


@dataclass(frozen=True)
class Shard:
    """Share `number` (from 1) of `of`."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(f"the shard is {self}", where="--shard", remedy="Give i/n, for example 1/4, 2/4, 3/4 and 4/4 on four machines")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that is written as i/n. UsageError for anything else.

        >>> Shard.parse("2/4")
        Shard(number=2, of=4)
        """
        number, _, of = text.partition("/")
        if not (number.isascii() and number.isdecimal() and of.isascii() and of.isdecimal()):
            raise UsageError(f"the shard is {text!r}", where="--shard", remedy="Give i/n, for example 1/4, 2/4, 3/4 and 4/4 on four machines")
        return cls(int(number), int(of))

    def takes(self, first: str) -> bool:
        """Whether the window that begins with the image of this path is of this shard."""
        return shard_of(first, self.of) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_of(first: str, of: int) -> int:
    """The number of the shard, from 1, of the window that begins with the image of this path."""
    return int.from_bytes(hashlib.sha256(first.encode("utf-8", "surrogateescape")).digest()[:8], "big") % of + 1


def spans_of(shard: Shard, names: Sequence[str], parts: Sequence[int], size: int) -> list[range]:
    """The windows of a list that are of a shard, in order; parts: images of each part of the list; size: images of a window."""
    return [span for span in windows(parts, size) if shard.takes(names[span.start])]


class Spans(Sequence[str]):
    """The names of some spans of a list, one after the other, without a copy of them."""

    def __init__(self, names: Sequence[str], spans: Sequence[range]) -> None:
        self._names, self._spans = names, spans
        self._ends = list(accumulate(map(len, spans)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        span = self._spans[number]
        return self._names[span.stop - (self._ends[number] - index)]

    def __iter__(self) -> Iterator[str]:
        return (self._names[place] for span in self._spans for place in span)
