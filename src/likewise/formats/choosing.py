"""Which labels of a data set to learn, and from how many examples: a folder may hold more than one task asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy

from likewise.data import ClassTable, Example, Target
from likewise.errors import InputError, UsageError, close_match
from likewise.formats.dataset import Dataset

CLASSES, KEYPOINTS = "classes", "keypoints"  # as targets: everything that is said of classes, all points


def choose(
    dataset: Dataset, names: Sequence[str], targets: Collection[str] | None, most: int | None
) -> tuple[list[Example], ClassTable | None, Mapping[str, Target]]:
    """Examples with some of their labels, the table of classes and the targets to learn.

    targets: names of dense targets, "classes" or "keypoints", None for all there is; examples that say nothing of them are
    left out. most: how many examples, the first by name. InputError for targets that are not there or that no example has.
    """
    if most is not None and most < 1:
        raise UsageError(f"{most} examples are asked for", where="--first", remedy="Ask for one at least")
    if targets is None:
        return [dataset.example(name) for name in names[:most]], dataset.classes, dataset.targets
    unknown = [name for name in targets if name not in {*dataset.targets, CLASSES, KEYPOINTS}]
    if unknown:
        known = [*dataset.targets, *([CLASSES] if dataset.classes is not None else []), *([KEYPOINTS] if dataset.keypoints else [])]
        raise InputError(f"there is no target {unknown[0]!r}", where=str(dataset.folder), remedy=close_match(unknown[0], known))
    found: list[Example] = []
    for name in names:
        if len(found) == most:
            break
        example = _with_some(dataset.example(name), targets)
        found += [example] if example is not None else []
    if not found:
        raise InputError(f"no example says anything of {', '.join(targets)}", where=str(dataset.folder), remedy="Label at least one image so")
    return found, dataset.classes if CLASSES in targets else None, {name: target for name, target in dataset.targets.items() if name in targets}


def _with_some(whole: Example, targets: Collection[str]) -> Example | None:
    """An example with some of its labels, None where it has none of these."""
    some = copy(whole)
    some.dense = {name: values for name, values in whole.dense.items() if name in targets}
    some.keypoints = whole.keypoints if KEYPOINTS in targets else {}
    if CLASSES not in targets:
        some.label_map, some.label = None, None
        some.masks, some.instances, some.boxes, some.points, some.scribbles, some.tags = {}, {}, {}, {}, {}, {}
    return some if some.kinds() else None
