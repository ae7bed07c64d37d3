"""Lists of images narrowed to those where a class takes a small or a large part of the picture.

After EMAT (GCPR 2025), which tests objects of 0-5, 5-10 and 10-15 per cent of a picture. How its lists were measured is not told; here it is
the share of all pixels of a class in a picture, whatever the number of its objects, by the masks themselves.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from likewise.episodes.lists import ImageList
from likewise.errors import InputError, UsageError

if TYPE_CHECKING:
    from likewise.episodes.benchmark import Benchmark, Part

_RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


def parsed_range(text: str) -> tuple[float, float]:
    """The bounds of "LOW-HIGH" in per cent; UsageError for others.

    >>> parsed_range("0-5"), parsed_range("2.5-10")
    ((0.0, 5.0), (2.5, 10.0))
    """
    match = _RANGE.fullmatch(text)
    low, high = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if not low < high <= 100:
        raise UsageError(f"{text!r} is no range of sizes", where="object-size", remedy="Write LOW-HIGH in per cent of the picture, 0-5 for example")
    return low, high


def narrowed(benchmark: Benchmark, part: Part, fold: int, text: str, shots: int) -> ImageList:
    """The images of a part in which the class takes more than LOW and at most HIGH per cent, queries and supports alike.

    Every (image, class) is a query once in a round, in an order that is always the same. Classes that have no more than `shots` such
    images are left out. Raises InputError where none is left.
    """
    low, high = parsed_range(text)
    shares = _shares(benchmark, part, fold)  # type: ignore[arg-type]  # a protocol does not say that its objects are hashable
    kept = {number: [name for name, share in listed.items() if low < 100 * share <= high] for number, listed in shares.items()}
    kept = {number: names for number, names in kept.items() if len(names) > shots}
    if not kept:
        raise InputError(
            f"no class takes {text} per cent of more than {shots} pictures",
            where=f"{benchmark.name}, fold {fold}, {part}",
            remedy="Ask for a wider range, or for fewer shots",
        )
    lines = [(name, number) for number, names in kept.items() for name in names]
    return ImageList(kept, [lines[place] for place in np.random.RandomState(0).permutation(len(lines))])


@lru_cache(maxsize=16)
def _shares(benchmark: Benchmark, part: Part, fold: int) -> dict[int, dict[str, float]]:
    """For each class the share of each of its pictures that it takes; all masks of the part are read."""
    listed = benchmark.images(part, fold).by_class
    wanted: dict[str, list[int]] = {}
    for number, names in listed.items():
        for name in names:
            wanted.setdefault(name, []).append(number)
    found: dict[tuple[int, str], float] = {}
    for name, numbers in wanted.items():
        labels = benchmark.labels(name)
        for number in numbers:
            found[number, name] = float((labels == number).mean())
    return {number: {name: found[number, name] for name in names} for number, names in listed.items()}
