"""What there is and what is here, as rows for people and programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from likewise.weights.choice import default
from likewise.weights.fetching import locate, record_of
from likewise.weights.registry import entries


def survey() -> list[dict[str, Any]]:
    """A row for each entry of the registry: its facts and places, where it is on this machine, whether it is the default."""
    chosen = default()
    rows = []
    for name, described in entries().items():
        here = locate(name)
        record = record_of(name)
        rows.append(
            {
                **{key: value for key, value in dataclasses.asdict(described).items() if key != "places"},
                "places": [{"place": str(place), **dataclasses.asdict(place)} for place in described.places],
                "here": str(here) if here else None,
                "source": record["source"] if here and record else None,
                "default": name == chosen,
            }
        )
    return rows
