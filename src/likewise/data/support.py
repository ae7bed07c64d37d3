"""A support: the labelled examples of a task, checked as a whole before any slow work."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.data.class_vectors import ClassVectors, checked_vectors
from likewise.data.classes import ClassTable
from likewise.data.example import Example, Unlabelled
from likewise.data.images import ImageSource
from likewise.data.labels import LabelKind
from likewise.data.resolve import Labels, resolve
from likewise.data.target import KEYPOINT, Target
from likewise.errors import InputError


@dataclass(frozen=True)
class LabelledImage:
    """An example after checking: its name, the image's hash and its labels with class numbers.

    `image` is None where only the features were kept (a task file).
    """

    name: str
    digest: str
    labels: Labels
    image: ImageSource | None = None


class Support:
    """Labelled examples with their table of classes and targets.

    examples: `Example` objects; classes: {number: name}, a list of names, or None to take what the examples name;
    targets: {name: Target} for dense labels (made with defaults for those not declared); unlabelled: None leaves it
    to each example, "background" or "unknown" holds for all. A declared class without an example is allowed.
    keypoints: the names that some example mentions, in that order; class_vectors: what is known of classes without any image, numbers
    (attributes, words, any embedding) by class, as many for each.

    Raises InputError (example, field, reason, remedy) for labels that do not fit their image or the tables.
    """

    def __init__(
        self,
        examples: Iterable[Example],
        classes: ClassTable | Mapping[int, str] | Iterable[str] | None = None,
        targets: Mapping[str, Target] | None = None,
        unlabelled: Unlabelled | None = None,
        class_vectors: ClassVectors | None = None,
    ) -> None:
        given = list(examples)
        named = [*(key for example in given for key in example.class_keys()), *(class_vectors or {})]
        self.classes = ClassTable.named_by(named) if classes is None else ClassTable.of(classes)
        self.targets = {name: Target() for example in given for name in example.dense} | dict(targets or {})
        refused = next((name for name in self.targets if name.startswith(KEYPOINT)), None)
        if refused is not None:
            raise InputError(f"a target is called {refused!r}", where="targets", remedy=f"Names that begin with {KEYPOINT!r} are the program's own")
        self.class_vectors = checked_vectors(class_vectors or {}, self.classes)
        self.examples = tuple(_labelled(given, self.classes, self.targets, unlabelled))
        if not self.examples and not self.class_vectors:
            raise InputError("there are no examples", where="support", remedy="Label at least one image")
        self.keypoints = _keypoint_names(self.examples)
        channels: dict[str, int] = {}
        for example in self.examples:
            for name, values in example.labels.dense.items():
                if channels.setdefault(name, values.shape[2]) != values.shape[2]:
                    raise InputError(
                        f"'{name}' has {values.shape[2]} channels here and {channels[name]} elsewhere",
                        where=example.name,
                        remedy="Give one target one number of channels",
                    )

    @classmethod
    def of(
        cls,
        examples: Iterable[LabelledImage],
        classes: ClassTable,
        targets: Mapping[str, Target],
        keypoints: Iterable[str] | None = None,
        class_vectors: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> Support:
        """A support of examples that were checked before (read from a task file, or chosen from another support).

        keypoints: their names, None for those that the examples mention.
        """
        made = cls.__new__(cls)
        made.classes, made.targets, made.class_vectors = classes, dict(targets), dict(class_vectors or {})
        made.examples = tuple(examples)
        made.keypoints = _keypoint_names(made.examples) if keypoints is None else tuple(keypoints)
        return made

    @classmethod
    def read(cls, path: str | os.PathLike[str], format: str | None = None, split: str | None = None, unlabelled: Unlabelled | None = None) -> Support:
        """The labelled examples of a folder or file; see `likewise.formats.read_support`."""
        formats = importlib.import_module("likewise.formats")  # by name: `formats` is built on `data`, which must not import it
        support: Support = formats.read_support(path, format=format, split=split, unlabelled=unlabelled).support
        return support

    def subset(self, indices: Iterable[int]) -> Support:
        """The same task with some of its examples."""
        return Support.of((self.examples[index] for index in indices), self.classes, self.targets, class_vectors=self.class_vectors)

    def kinds(self) -> frozenset[LabelKind]:
        """Every kind of label that some example carries, and vectors where a class has one."""
        vectors = {LabelKind.VECTOR} if self.class_vectors else set()
        return frozenset(kind for example in self.examples for kind in example.labels.kinds()) | vectors

    def showing(self, number: int) -> list[int]:
        """Indices of the examples in which the class is present."""
        return [index for index, example in enumerate(self.examples) if example.labels.present(number)]

    def lacking(self, number: int) -> list[int]:
        """Indices of the examples that say the class is absent."""
        return [index for index, example in enumerate(self.examples) if example.labels.present(number) is False]

    def digest(self) -> str:
        """SHA-256 over classes, targets, images and labels, in order, and class vectors."""
        total = hashlib.sha256()
        total.update(repr((dict(self.classes.names), sorted(self.targets.items()))).encode())
        for example in self.examples:
            labels = example.labels
            total.update(repr((example.name, example.digest, labels.size, labels.tags, labels.label, labels.keypoints, labels.unlabelled)).encode())
            arrays: list[NDArray[np.generic]] = [] if labels.label_map is None else [labels.label_map]
            arrays += [labels.masks[n] for n in sorted(labels.masks)] + [labels.boxes[n] for n in sorted(labels.boxes)]
            arrays += [part for n in sorted(labels.points) for part in labels.points[n]]
            arrays += [line for n in sorted(labels.scribbles) for line in labels.scribbles[n]]
            arrays += [labels.dense[name] for name in sorted(labels.dense)]
            objects = [(n, one) for n in sorted(labels.instances) for one in labels.instances[n]]
            total.update(repr([(n, one.box) for n, one in objects]).encode() if objects else b"")
            arrays += [one.patch for _, one in objects]
            for array in arrays:
                total.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        for number in sorted(self.class_vectors):
            total.update(repr(("vector", number)).encode() + self.class_vectors[number].tobytes())
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        return f"Support({len(self)} examples, classes={dict(self.classes.names)}, targets={list(self.targets)})"


def _keypoint_names(examples: Iterable[LabelledImage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for example in examples for name in example.labels.keypoints))


def _labelled(examples: list[Example], table: ClassTable, targets: Mapping[str, Target], unlabelled: Unlabelled | None) -> Iterable[LabelledImage]:
    seen: set[str] = set()
    for index, example in enumerate(examples):
        name = example.name or f"example-{index + 1}"
        if name in seen:
            raise InputError(f"two examples are called {name!r}", where="support", remedy="Give each a name of its own")
        seen.add(name)
        try:
            labels = resolve(example, name, example.size(), table, targets, unlabelled)
        except InputError as error:
            if name in error.where:
                raise
            raise type(error)(error.what, where=f"{name}: {error.where}" if error.where else name, remedy=error.remedy) from error
        yield LabelledImage(name, example.digest(), labels, example.image)
