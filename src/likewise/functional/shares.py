"""The interval of a share that was counted."""

from __future__ import annotations

import math

NORMAL = 1.959964  # the 97.5 % quantile of the normal distribution


def share_interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of the share `hits` / `of` (Wilson 1927), which stays within 0..1 and is open also where all or none are hits.

    Raises ValueError for no trials, or more hits than trials.

    >>> [round(edge, 3) for edge in share_interval(9, 10)]
    [0.596, 0.982]
    """
    if not 0 <= hits <= of or not of:
        raise ValueError(f"{hits} of {of} is no share")
    share, squared = hits / of, NORMAL**2
    middle = (share + squared / (2 * of)) / (1 + squared / of)
    half = NORMAL / (1 + squared / of) * math.sqrt(share * (1 - share) / of + squared / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)
