"""Published accuracies of classifiers, beside which ours are put. They stand in published_classes.json with their sources; none of them is recalled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class PublishedAccuracy:
    """A mean accuracy over episodes in percent, with the half-width of its interval where one was published.

    encoder: "" where there is none; adapted: after further tuning on the support.
    """

    benchmark: str
    way: int
    shot: int
    method: str
    encoder: str
    accuracy: float
    interval: float | None = None
    adapted: bool = False

    @property
    def title(self) -> str:
        """The method and its encoder.

        >>> PublishedAccuracy("cub", 5, 1, "relation", "conv4", 62.45).title
        'relation, conv4, published'
        """
        words = [self.method, self.encoder, "adapted further" if self.adapted else "", "published"]
        return ", ".join(word for word in words if word)


@cache
def _content() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("likewise.episodes.classification").joinpath("published_classes.json").read_text("utf-8"))
    return found


def published_accuracies() -> tuple[PublishedAccuracy, ...]:
    """All rows of the file."""
    return tuple(PublishedAccuracy(**row) for row in _content()["rows"])


def accuracies_beside(benchmark: str, way: int, shot: int, methods: Sequence[str], encoders: Sequence[str] = ()) -> list[PublishedAccuracy]:
    """The published rows of the same benchmark and episodes: those of these methods, and baselines without an encoder.

    encoders: of ours, where they are known; only the same are taken then, if any were published.
    """
    found = [row for row in published_accuracies() if (row.benchmark, row.way, row.shot) == (benchmark, way, shot)]
    own = [row for row in found if not row.encoder or row.method in methods]
    alike = [row for row in own if not row.encoder or row.encoder in encoders]
    return alike if any(row.encoder for row in alike) else own


def sources_of(benchmark: str) -> list[str]:
    """Where the rows of a benchmark are from."""
    return [source for names, source in _content()["sources"].items() if benchmark in names.split(", ")]
