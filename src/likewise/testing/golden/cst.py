"""Golden files of CST and its baselines (`cst_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likewise.testing.golden import seeded
from likewise.testing.golden.case import Case


def position_embedding(case: Case) -> Mapping[str, Any]:
    """The table resized by the official rule (factor with 0.1) and by the plain one (target size)."""
    import torch

    from likewise.backbones.position import resize_position_embedding

    recipe = case.meta["inputs"]["pos_embed"]
    table = torch.from_numpy(seeded.uniform(recipe["uniform"], recipe["shape"], case.seed))
    stored = (case.config["grid"], case.config["grid"])
    wanted = (case.config["rows"], case.config["columns"])
    return {
        "official": resize_position_embedding(table, stored, wanted, "factor"),
        "plain": resize_position_embedding(table, stored, wanted, "size"),
    }
