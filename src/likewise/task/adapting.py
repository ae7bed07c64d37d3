"""A task fitted to the images that it is to label, without labels: how their features are shifted, and how often each class is there.

At most `MOST` images are looked at, drawn by their names, so that every shard of a list and every resumed run looks at the same.
What was found is kept in the memory: shifts of tokens by wish and moved curves, so the task's digest tells adapted tasks apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
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
    examples = _of_examples(task) if chosen != "prior" else {}
    if chosen != "features":
        task.method.expecting(memory, torch.zeros(len(task.classes)))  # refuses before the images are looked at
    names = drawn_names(images.names, MOST)
    paths, digest = _readable(task, images.root, names)
    memory = Memory(memory.tensors, {**memory.facts, FACT: {"by": chosen, "images": len(paths), "sha256": digest}})
    if examples:
        memory = _with_shifts(task, memory, paths, examples)
    return memory if chosen == "features" else _with_shares(task, memory, paths)


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


def _readable(task: Task, root: Path, names: Sequence[str]) -> tuple[list[Path], str]:
    """The images that can be read, and a hash of their names and contents. InputError where there is none."""
    paths, digest = [], hashlib.sha256()
    for name in names:
        try:
            image = task.prepare(root / name)
        except ImageError:
            continue
        paths.append(root / name)
        digest.update(f"{name}\0{image.digest}\n".encode("utf-8", "surrogateescape"))
    if not paths:
        raise InputError("none of the images to adapt to can be read", where=str(root), remedy="Check the path and the split")
    return paths, digest.hexdigest()


def _of_examples(task: Task) -> dict[int, Tensor]:
    """Tokens (L, K, D) of the examples for each place of a wish of `predict` that reads a backbone."""
    if task.kept is None:
        raise InputError(
            "the task is compact: the features of its examples were not kept", where="adapt", remedy='Adapt by "prior", or learn again from the examples'
        )
    found = {}
    for place, spec in enumerate(task.method.wants(task.memory)):
        own = [item for each in task.kept for key, item in each.items() if replace(key, pixels=0) == replace(spec, pixels=0)]
        if own and own[0].tokens.numel():
            found[place] = torch.cat([_some(item, len(own)) for item in own], dim=1)
    if not found:
        raise UsageError(
            f"the method {task.method.name!r} reads no tokens of a backbone that could be shifted", where="adapt", remedy="Leave it out, or name another method"
        )
    return found


def _with_shifts(task: Task, memory: Memory, paths: Sequence[Path], examples: Mapping[int, Tensor]) -> Memory:
    parts: dict[int, list[Tensor]] = {place: [] for place in examples}
    for features in _looked(task, memory, paths):
        for place, items in enumerate(features[1].values()):
            if place in parts:
                parts[place].append(_some(items[0], len(paths)))
    shifts = {f"{_SHIFT}{place}": shift_to(examples[place], torch.cat(tokens, dim=1)) for place, tokens in parts.items()}
    return Memory({**memory.tensors, **shifts}, memory.facts)


def _with_shares(task: Task, memory: Memory, paths: Sequence[Path]) -> Memory:
    with torch.inference_mode():
        said = [task.method.predict([Query(image.size)], features, memory)[0].presence for image, features in _looked(task, memory, paths)]
    return task.method.expecting(memory, presence_shift(torch.logit(torch.stack([each for each in said if each is not None]).float())))


def _looked(task: Task, memory: Memory, paths: Sequence[Path]) -> Iterator[tuple[Prepared, dict[FeatureSpec, Sequence[ImageFeatures]]]]:
    """Each image with what the method reads of it, one at a time."""
    for path in paths:
        image = task.prepare(path)
        yield image, moved({spec: task.ready().extract([image], spec) for spec in task.method.wants(memory)}, memory)


def _some(item: ImageFeatures, images: int) -> Tensor:
    """An image's part (L, p, D) of the tokens of so many images."""
    return item.tokens[:, drawn_rows(item.tokens.shape[1], max(1, TOKENS // images))]
