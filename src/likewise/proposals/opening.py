"""Sources by the word that a setting has for them, and again from what a task keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from likewise.errors import WeightsError
from likewise.proposals.merging import Merging
from likewise.proposals.source import Source

REGIONS = "regions"


def open_source(masks: str, *, count: int, side: int) -> Source:
    """The source of a setting: "regions"; a checkpoint of `mm-former` that was trained here; a folder of SAM or SAM 2.

    count: proposals at most; side: the working size of regions. Raises WeightsError for a path with nothing that can be one.
    """
    if masks == REGIONS:
        return Merging(count=count, side=side)
    path = Path(masks)  # the modules below import `transformers`, which takes seconds
    if path.is_dir():
        from likewise.proposals.points import Points

        return Points.opened(path, count=count)
    if not path.exists():
        raise WeightsError(
            "there is no such source of masks",
            where=masks,
            remedy="Give 'regions', a checkpoint of mm-former that was trained here, or a folder of SAM or SAM 2",
        )
    from likewise.proposals.trained import Trained

    return Trained.opened(path)


def restored_source(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, count: int, side: int) -> Source:
    """The source that had these `tensors` and `facts`. Raises WeightsError where its weights are no longer there."""
    if facts.get("kind") == "points":
        from likewise.proposals.points import Points

        return Points.opened(Path(facts["folder"]), count=count, sha256=facts["sha256"])
    if facts.get("kind") == "trained":
        from likewise.proposals.trained import Trained

        return Trained.restored(tensors, facts)
    return Merging(count=count, side=side)
