"""What a task says of its own examples when it has not seen them: the presence of each class, by learning without the example.

Some methods find it by the way while they learn, and keep it (`methods.base.PRESENCE_LEFT_OUT`). For the others this learns again and again from the features
that are there, without a pass over the backbone: every example left out alone, of a large support one of `PARTS` parts at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from likewise.data import Support
from likewise.methods.base import PRESENCE_LEFT_OUT, Memory, Method, Progress
from likewise.task.finish import finish
from likewise.task.learning import Kept, among, learn_memory, raw_answer

PARTS = 24  # learned without, at most: what is learned then has 23 of 24 examples, nearly all that the task has
Scores = dict[str, dict[str, list[float]]]


def left_out_presence(memory: Memory, method: Method, support: Support, kept: Kept | None, progress: Progress | None = None) -> Scores | None:
    """{class: {"shown": probabilities of left-out examples that show it, "without": of those that do not}}, of classes that some left-out example shows.

    None where the memory does not hold it and the features of the examples are not there any more.
    """
    if PRESENCE_LEFT_OUT in memory.facts:
        found: Scores = memory.facts[PRESENCE_LEFT_OUT]
        return found
    return None if kept is None else _learned_without(method, support, kept, progress)


def _learned_without(method: Method, support: Support, kept: Kept, progress: Progress | None) -> Scores:
    parts = min(PARTS, len(support))
    found: Scores = {name: {"shown": [], "without": []} for name in support.classes.names.values()}
    for part in range(parts):
        out = list(range(part, len(support), parts))
        stay = [index for index in range(len(support)) if index % parts != part]
        _add(found, method, support, kept, (stay, out))
        if progress is not None:
            progress("left out", part + 1, parts)
    return {name: scores for name, scores in found.items() if scores["shown"]}


def _add(found: Scores, method: Method, support: Support, kept: Kept, parted: tuple[Sequence[int], Sequence[int]]) -> None:
    """Add what is said of the second part of the examples by the first, of the classes that this shows."""
    stay, out = parted
    rest = support.subset(stay)
    taught = [(number, name) for number, name in support.classes.names.items() if rest.showing(number)]
    if not taught:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is to be said of the examples was said of all of them
        memory = learn_memory(method, rest, [kept[index] for index in stay])
    wishes = method.wants(memory)
    for index in out:
        labels, known = support.examples[index].labels, among(kept[index], wishes)
        if len(known) < len(wishes):
            continue
        said = finish(raw_answer(method, memory, known, labels.size), labels.size, classes=support.classes, targets=support.targets, image=None).present
        for number, name in taught:
            there = labels.present(number)
            if there is not None and name in said:
                found[name]["shown" if there else "without"].append(said[name])


def shared(scores: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> tuple[list[float], list[float]]:
    """The scores of left-out examples that show a class, and of those that do not; none where it is not among them."""
    own = scores.get(name, {})
    return list(own.get("shown", ())), list(own.get("without", ()))
