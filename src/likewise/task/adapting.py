"""A task fitted to the images that it is to label, without labels: how their features are shifted, and how often each class is there.

At most `MOST` images are looked at, drawn by their names, so that every shard of a list and every resumed run looks at the same.
What was found is kept in the memory: shifts of tokens by wish and moved curves, so the task's digest tells adapted tasks apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from likewise.backbones import FeatureSpec, ImageFeatures, Prepared
from likewise.errors import ImageError, InputError, UsageError, close_match
from likewise.functional.adaptation import presence_shift, shift_to
from likewise.functional.even_draw import drawn_names, drawn_rows
from likewise.methods.base import Features, Memory, Query
from likewise.task import deciding

if TYPE_CHECKING:
    from likewise.formats import ImageList
    from likewise.task.face import Task

WAYS = ("prior", "features", "both")
MOST = 64  # images
TOKENS = 4000  # of these images together, and of the examples
FACT, _SHIFT = "adapted", "adapted/tokens "  # in a memory; the latter with the place of a wish


def checked(way: str) -> str:
    """A way of `WAYS`; UsageError with the closest match for another word."""
    if way not in WAYS:
        raise UsageError(f"there is no way {way!r} to adapt", where="adapt", remedy=close_match(way, WAYS))
    return way


def adapted(task: Task, images: ImageList, way: str) -> Memory:
    """The memory of a task, adapted to images by a way of `WAYS`; see `Task.adapt` for what raises."""
    memory, chosen = task.memory, checked(way)
    if FACT in memory.facts:
        raise InputError("the task is adapted already", where="adapt", remedy="Adapt the task as it was learned")
    if deciding.ASKED in memory.facts:
        raise UsageError("what may be missed was decided by left-out examples, and adapting moves what is said", where="adapt", remedy="Give one of both")
    examples = _of_examples(task) if chosen != "prior" else {}
    if chosen != "features":
        task.method.expecting(memory, torch.zeros(len(task.classes)))  # refuses before the images are looked at
    names = drawn_names(images.names, MOST)
    sample, digest = _prepared(task, images.root, names)
    memory = Memory(memory.tensors, {**memory.facts, FACT: {"by": chosen, "images": len(sample), "sha256": digest}})
    if examples:
        memory = _with_shifts(task, memory, sample, examples)
    return memory if chosen == "features" else _with_shares(task, memory, sample)


def moved(features: Features, memory: Memory) -> dict[FeatureSpec, Sequence[ImageFeatures]]:
    """Features of images by wish, shifted as the memory of an adapted task says; those of other tasks as they are."""
    found = dict(features)
    for place, (spec, items) in enumerate(features.items()):
        shift = memory.tensors.get(f"{_SHIFT}{place}")
        if shift is not None:
            found[spec] = [replace(item, tokens=(item.tokens.float() + shift[:, None]).to(item.tokens.dtype)) for item in items]
    return found


def fingerprint(memory: Memory) -> dict[str, str]:
    """What a run has to say of how its task was adapted, {} where it was not."""
    facts: Mapping[str, Any] | None = memory.facts.get(FACT)
    return {} if facts is None else {FACT: f"{facts['by']}, {facts['images']} images {facts['sha256'][:12]}"}


def _prepared(task: Task, root: Path, names: Sequence[str]) -> tuple[list[Prepared], str]:
    """The images that can be read, as many as a run decodes ahead, and a hash of their names and contents. InputError where there is none."""
    sample, digest = [], hashlib.sha256()
    for name in names:
        try:
            sample.append(task.prepare(root / name))
        except ImageError:
            continue
        digest.update(f"{name}\0{sample[-1].digest}\n".encode("utf-8", "surrogateescape"))
    if not sample:
        raise InputError("none of the images to adapt to can be read", where=str(root), remedy="Check the path and the split")
    return sample, digest.hexdigest()


def _of_examples(task: Task) -> dict[int, list[Tensor]]:
    """Tokens (L, K, D) of the examples, one by one, for each place of a wish of `predict` that reads a backbone."""
    if task.kept is None:
        raise InputError(
            "the task is compact: the features of its examples were not kept", where="adapt", remedy='Adapt by "prior", or learn again from the examples'
        )
    found = {}
    for place, spec in enumerate(task.method.wants(task.memory)):
        own = [item for each in task.kept for key, item in each.items() if replace(key, pixels=0) == replace(spec, pixels=0)]
        if own and own[0].tokens.numel():
            found[place] = [_some(item, len(own)) for item in own]
    if not found:
        raise UsageError(
            f"the method {task.method.name!r} reads no tokens of a backbone that could be shifted", where="adapt", remedy="Leave it out, or name another method"
        )
    return found


def _with_shifts(task: Task, memory: Memory, sample: Sequence[Prepared], examples: Mapping[int, Sequence[Tensor]]) -> Memory:
    """The memory with the shift of each wish, where there is one."""
    parts: dict[int, list[Tensor]] = {place: [] for place in examples}
    for image in sample:
        features = _features(task, memory, image)
        for place, spec in enumerate(features):
            if place in parts:
                parts[place].append(_some(features[spec][0], len(sample)))
    shifts = {f"{_SHIFT}{place}": shift_to(examples[place], tokens) for place, tokens in parts.items()}
    found = {name: shift for name, shift in shifts.items() if bool(shift.any())}
    return Memory({**memory.tensors, **found}, {**memory.facts, FACT: {**memory.facts[FACT], "shifted": bool(found)}})


def _with_shares(task: Task, memory: Memory, sample: Sequence[Prepared]) -> Memory:
    """The memory with the presence of each class moved."""
    with torch.inference_mode():
        said = [task.method.predict([Query(image.size)], _features(task, memory, image), memory)[0].presence for image in sample]
    return task.method.expecting(memory, presence_shift(torch.logit(torch.stack([each for each in said if each is not None]).float())))


def _features(task: Task, memory: Memory, image: Prepared) -> dict[FeatureSpec, Sequence[ImageFeatures]]:
    """What the method reads of an image, by wish."""
    return moved({spec: task.ready().extract([image], spec) for spec in task.method.wants(memory)}, memory)


def _some(item: ImageFeatures, images: int) -> Tensor:
    """An image's part (L, p, D) of the tokens of so many images."""
    return item.tokens[:, drawn_rows(item.tokens.shape[1], max(1, TOKENS // images))]
