"""Which images go through the network together: a fixed function of the sorted list.

The last bits of a prediction may depend on the images beside it in a batch. So that a run that was stopped gives the
same bytes as one that was not, batches never depend on timing: the list is cut into windows, the images of a window are
grouped by the shape they are worked at, and each group is cut into batches.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

SMALLEST_WINDOW = 32  # images; enough to fill batches from folders that mix portrait and landscape
Shape = tuple[int, int]


@dataclass
class BatchPlan:
    """The size of batches, and where along the list it was halved because memory ran out.

    batch: the size at the start; window: images a window; halved: (position, size) pairs in order. A position
    counts images in the order in which they are predicted.
    """

    batch: int
    window: int
    halved: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, batch: int) -> BatchPlan:
        """The plan for a batch size: windows of four batches, at least 32 images."""
        return cls(batch, max(SMALLEST_WINDOW, 4 * batch))

    def size_at(self, position: int) -> int:
        """The size of a batch that starts at a position."""
        place = bisect_right(self.halved, position, key=lambda pair: pair[0])
        return self.halved[place - 1][1] if place else self.batch

    def halve(self, position: int) -> bool:
        """Halve the batches from a position on; False if they hold one image already."""
        size = self.size_at(position)
        if size == 1:
            return False
        self.halved = [pair for pair in self.halved if pair[0] < position] + [(position, size // 2)]
        return True


def windows(parts: Sequence[int], size: int) -> Iterator[range]:
    """Consecutive positions of the list, `size` at a time; no window holds images of two parts.

    >>> list(windows([5, 2], 3))
    [range(0, 3), range(3, 5), range(5, 7)]
    """
    start = 0
    for images in parts:
        for first in range(start, start + images, size):
            yield range(first, min(first + size, start + images))
        start += images


def groups(shapes: Sequence[Shape | None]) -> list[list[int]]:
    """Places of a window by shape, in order of first appearance; None (an image that cannot be read) is in no group.

    >>> groups([(2, 3), (3, 2), None, (2, 3)])
    [[0, 3], [1]]
    """
    found: dict[Shape, list[int]] = {}
    for place, shape in enumerate(shapes):
        if shape is not None:
            found.setdefault(shape, []).append(place)
    return list(found.values())
