"""What a checkpoint says that it was trained on, against what it is evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from likewise.episodes.benchmark import Benchmark, Part
from likewise.episodes.record import TrainedOn
from likewise.episodes.views import ViewsBenchmark

VIEWS = "-views"  # ends the names of benchmarks of views


def trained_on_of(sources: Sequence[Mapping[str, Any]], benchmark: Benchmark, part: Part, folds: Sequence[int]) -> TrainedOn:
    """The protocol of an evaluation, by the sources of a checkpoint's card.

    "strict-folds": of this benchmark other classes alone; "in-domain": some of the classes that are evaluated, or pictures of this
    benchmark of which no class is said; "other-data": nothing of it. "unknown" where the card names no source.
    """
    if not sources:
        return "unknown"
    name = benchmark.name.removesuffix(VIEWS)
    own = [source for source in sources if str(source.get("benchmark", "")).removesuffix(VIEWS) == name]
    if not own:
        return "other-data"
    if isinstance(benchmark, ViewsBenchmark) or not all(source.get("classes") for source in own):
        return "in-domain"
    seen = {str(named) for source in own for named in source["classes"]}
    tested = {benchmark.class_names[number] for fold in folds for number in benchmark.images(part, fold).by_class}
    return "in-domain" if seen & tested else "strict-folds"
