"""What of a task goes into its file, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

import likewise
from likewise.backbones import FeatureSpec, ImageFeatures
from likewise.backbones.features import TENSORS
from likewise.data import ClassTable, LabelKind, LabelledImage, Labels, Support, Target
from likewise.data.class_vectors import joined_vectors
from likewise.data.classes import MAX_CLASSES
from likewise.errors import InputError, LikewiseError, OutputError, TaskFileError
from likewise.methods.base import Memory, Method
from likewise.methods.registry import method_class
from likewise.task.codec import decode_labels, encode_labels
from likewise.task.file import read_task_file, write_task_file
from likewise.task.learning import Kept
from likewise.task.thumbnails import Thumbnail

if TYPE_CHECKING:
    from likewise.task.face import Task

IGNORE = 255  # of label maps: no class may have this number


@dataclass(frozen=True)
class Stored:
    """A task as it was in its file."""

    method: Method
    preset: str
    memory: Memory
    support: Support
    kept: Kept | None
    thumbnails: list[Thumbnail]
    weights: dict[str, dict[str, str]]


def manifest_of(task: Task) -> dict[str, Any]:
    """The facts of a task, JSON-able: method, settings, classes, targets, weights, examples, left-out scores, versions."""
    return {
        "method": task.method.name,
        "preset": task.preset,
        "settings": asdict(task.method.settings),
        "classes": {str(number): name for number, name in task.classes.names.items()},
        "targets": {name: asdict(target) for name, target in task.targets.items()},
        **({"keypoints": list(task.keypoints)} if task.keypoints else {}),
        "weights": task.weights,
        "examples": [_example_facts(example) for example in task.support.examples],
        **({"class_vectors": list(task.support.class_vectors)} if task.support.class_vectors else {}),
        "left_out": task.left_out,
        **({"decisions": {name: rule.as_dict() for name, rule in rules.items()}} if (rules := task.rules) else {}),
        "facts": dict(task.memory.facts),
        "digest": task.digest,
        "compact": task.kept is None,
        "versions": {"likewise": likewise.__version__, "torch": torch.__version__, "numpy": np.__version__},
    }


def write(task: Task, path: Path, *, compact: bool, thumbnails: bool, overwrite: bool) -> Path:
    """Write a task file; OutputError if it exists and may not be overwritten. Without thumbnails no picture is in it, kept pixels included."""
    if path.exists() and not overwrite:
        raise OutputError("the file is already there", where=str(path), remedy="Choose another name, or overwrite it explicitly")
    manifest = manifest_of(task)
    tensors: dict[str, Tensor] = {f"memory/{name}": tensor for name, tensor in task.memory.tensors.items()}
    if compact or task.kept is None or (not thumbnails and _holds_pixels(task.kept)):
        manifest["compact"] = True
    else:
        manifest["labels"] = []
        for index, (example, features) in enumerate(zip(task.support.examples, task.kept, strict=True)):
            arrays, facts = encode_labels(example.labels)
            manifest["labels"].append(facts)
            tensors |= {f"labels/{index}/{name}": tensor for name, tensor in arrays.items()}
            for place, item in enumerate(features.values()):
                tensors |= {f"features/{index}/{place}/{name}": tensor for name, tensor in item.tensors().items()}
        manifest["specs"] = [asdict(spec) for spec in task.kept[0]] if task.kept else []
        manifest["grids"] = [[list(item.grid) for item in features.values()] for features in task.kept]
    if task.support.class_vectors:
        tensors["class_vectors"] = torch.from_numpy(np.stack(list(task.support.class_vectors.values())))
    pictures = task.thumbnails if thumbnails else []
    manifest["thumbnails"] = [picture.name for picture in pictures]
    for index, picture in enumerate(pictures):
        tensors[f"thumbnail/{index}/image"] = torch.from_numpy(np.ascontiguousarray(picture.image).copy())
        tensors[f"thumbnail/{index}/labels"] = torch.from_numpy(np.ascontiguousarray(picture.labels).copy())
    write_task_file(path, manifest, tensors)
    return path


def read(path: Path) -> Stored:
    """A task from its file; TaskFileError for anything that does not fit together."""
    manifest, tensors = read_task_file(path)
    try:
        return _stored(manifest, tensors)
    except TaskFileError:
        raise
    except LikewiseError as error:
        raise TaskFileError(f"it cannot be used here ({error})", where=str(path), remedy="Install what it needs, or learn it anew") from error
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise TaskFileError(f"its parts do not fit together ({type(error).__name__}: {error})", where=str(path), remedy="Learn it anew") from error


def joined(old: Support, new: Support) -> Support:
    """Both supports as one, classes matched by name; InputError where names, numbers, units or channels clash."""
    new = by_name(new, old.classes)
    table = dict(old.classes.names)
    for number, name in new.classes.names.items():
        if table.get(number, name) != name or (name in table.values() and number not in table):
            clash = f"class {number} is {name!r} in the new examples and {table.get(number, 'another number')!r} in the task"
            raise InputError(clash, where="classes", remedy="Give the new examples the numbers and names of the task")
        table[number] = name
    known = {example.name for example in old.examples}
    for example in new.examples:
        if example.name in known:
            raise InputError(f"the task already has an example {example.name!r}", where=example.name, remedy="Forget it first, or rename the new one")
    classes = ClassTable(table)
    vectors = joined_vectors(old.class_vectors, new.class_vectors, classes)
    return Support.of((*old.examples, *new.examples), classes, {**new.targets, **old.targets}, class_vectors=vectors)


def by_name(support: Support, classes: ClassTable) -> Support:
    """A support of classes of whole images with the numbers that another table has for them, and free ones for classes that it has not.

    A folder a class numbers its classes itself, so numbers say nothing there; a support with other labels is left as it is.
    """
    if not support.kinds() <= {LabelKind.CLASS, LabelKind.TAG, LabelKind.VECTOR}:
        return support
    own = {name: number for number, name in classes.names.items()}
    added = [name for name in support.classes.names.values() if name not in own]
    free = (number for number in range(1, MAX_CLASSES + 1) if number not in classes and number != IGNORE)
    own |= dict(zip(added, free, strict=False))
    numbers = {number: own[name] for number, name in support.classes.names.items()}
    examples = [dataclasses.replace(example, labels=_renumbered(example.labels, numbers)) for example in support.examples]
    vectors = {numbers[number]: vector for number, vector in support.class_vectors.items()}
    return Support.of(examples, ClassTable({own[name]: name for name in support.classes.names.values()}), support.targets, class_vectors=vectors)


def _renumbered(labels: Labels, numbers: Mapping[int, int]) -> Labels:
    label = None if labels.label is None else numbers[labels.label]
    return dataclasses.replace(labels, label=label, tags={numbers[number]: there for number, there in labels.tags.items()})


def _stored(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Stored:
    kind = method_class(manifest["method"])
    settings = kind.Settings().changed(**manifest["settings"])
    classes = ClassTable({int(number): name for number, name in manifest["classes"].items()})
    targets = {name: Target(**_tupled(facts)) for name, facts in manifest["targets"].items()}
    memory = Memory({name[7:]: tensor for name, tensor in tensors.items() if name.startswith("memory/")}, manifest["facts"])
    kept = None if manifest["compact"] else _features(manifest, tensors)
    examples = []
    for index, facts in enumerate(manifest["examples"]):
        labels = Labels(size=tuple(facts["size"]))
        if kept is not None:
            labels = decode_labels(_under(tensors, f"labels/{index}/"), manifest["labels"][index])
        examples.append(LabelledImage(facts["name"], facts["digest"], labels))
    pictures = [
        Thumbnail(name, tensors[f"thumbnail/{index}/image"].numpy(), tensors[f"thumbnail/{index}/labels"].numpy())
        for index, name in enumerate(manifest["thumbnails"])
    ]
    vectors = dict(zip(manifest.get("class_vectors", ()), tensors.get("class_vectors", torch.zeros(0)).numpy(), strict=True))
    support = Support.of(examples, classes, targets, manifest.get("keypoints", ()), vectors)
    return Stored(kind(settings), manifest["preset"], memory, support, kept, pictures, manifest["weights"])


def _features(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Kept:
    specs = [FeatureSpec(**_tupled(facts)) for facts in manifest["specs"]]
    kept: Kept = []
    for index, facts in enumerate(manifest["examples"]):
        own = {}
        for place, spec in enumerate(specs):
            parts = _under(tensors, f"features/{index}/{place}/")
            rows, columns = manifest["grids"][index][place]
            height, width = facts["size"]
            more = {name: parts.get(name) for name in TENSORS[2:]}
            own[spec] = ImageFeatures(parts["tokens"], parts["prefix"], (rows, columns), (height, width), **more)
        kept.append(own)
    return kept


def _holds_pixels(kept: Kept) -> bool:
    return any(item.pixels is not None for features in kept for item in features.values())


def _example_facts(example: LabelledImage) -> dict[str, Any]:
    kinds = sorted(example.labels.kinds())
    return {"name": example.name, "digest": example.digest, "size": list(example.labels.size), "kinds": kinds}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _tupled(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
