"""Recipes: an experiment as a TOML file, checked before anything slow; every key can be changed on the command line.

Paths in a recipe are relative to the folder where the command is run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from likewise.episodes.prompted.sampling import BATCHES
from likewise.episodes.prompted.simulation import KINDS, Kind
from likewise.errors import InputError, UsageError, close_match
from likewise.formats.files import read_bytes, validate

Part = Literal["train", "val", "test"]
_LARGEST = 1 << 20  # bytes of a recipe


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MethodSection(BaseModel):
    """The method that is trained; all other keys are settings of its training, which the method checks."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    start: str | None = None  # a checkpoint to begin from

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that the method reads."""
        return dict(self.model_extra or {})


class BackboneSection(_Section):
    """The frozen network. features: "cache" keeps them on disk, so that an image is seen once; "compute" makes them every time."""

    name: str = "auto"
    features: Literal["cache", "compute"] = "cache"
    folder: str | None = None  # of the cache; None: the program's own
    engine: str = "auto"
    precision: str = "auto"


class SourceSection(_Section):
    """Where episodes are drawn.

    share: how often, relative to the other sources; masks: the percentage of images, in the order of their names, whose
    masks may be used, the others giving image-level labels alone; only_masked: leave the others out; only: a text file of the
    names of images to take, one a line, all others are left out; empty: whether the query may show nothing of the class, False for
    segmentation alone (FS-S). Of prompted episodes also: classes: names of the classes to take;
    most: so many pictures of a class, the first by name; ways: classes of an episode at most, 1 where pictures show classes that they have
    no labels of.
    """

    data: str
    part: Part = "train"
    share: Annotated[float, Field(gt=0)] = 1.0
    masks: Annotated[float, Field(ge=0, le=100)] = 100.0
    only_masked: bool = False
    only: str | None = None
    empty: bool = True
    classes: tuple[str, ...] = ()
    ways: Annotated[int, Field(gt=0)] | None = None
    most: Annotated[int, Field(gt=1)] | None = None


class DenseSection(_Section):
    """Makes the episodes dense: each asks for one target, for methods that give values for each pixel.

    targets: families to draw from (see `episodes.dense`), "mask" for classes; shot, query: pictures a support and how many
    are asked about; channels: targets of an episode, which share its pictures (published: 5); altered: labels are changed as
    published; mixed: chance that a target is mixed with a second one.
    """

    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    shot: Annotated[int, Field(gt=0)] = 4
    query: Annotated[int, Field(gt=0)] = 4
    channels: Annotated[int, Field(gt=0)] = 1
    altered: bool = True
    mixed: Annotated[float, Field(ge=0, le=1)] = 0.5


class PromptsSection(_Section):
    """Makes the episodes prompted: several classes at once, from any mix of masks, boxes and points, for label-anything.

    What the loop counts as an episode is then a batch of b episodes. batches: the (b, n, k) to draw from, episodes, classes and
    shots (published); kinds: of prompts; a subset of them is drawn for every episode, or for the whole `batch` (`subset`); noisy: corners
    of boxes are moved. Ours, for pictures that have one class labelled: joined, joined_support: chances that a query, a picture of the
    support, is joined of windows of two to four pictures of different classes; mirrored: chance that a picture's tokens are mirrored.
    """

    batches: Annotated[tuple[tuple[int, int, int], ...], Field(min_length=1)] = BATCHES
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = KINDS
    subset: Literal["episode", "batch"] = "episode"
    noisy: bool = True
    joined: Annotated[float, Field(ge=0, le=1)] = 0.0
    joined_support: Annotated[float, Field(ge=0, le=1)] = 0.0
    mirrored: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _positive(self) -> PromptsSection:
        if any(min(one) < 1 for one in self.batches):
            raise ValueError("a batch has at least one episode, one class and one shot")
        return self


class ClassesSection(_Section):
    """Makes the episodes those of whole pictures with a class each, for the learners in `methods.classifiers`; `data` are then benchmarks of these.

    way, shot, query: of an episode; batch: pictures of a batch, or pairs, for learners that are trained on these; altered: pictures are altered as
    published (parts of them, light, colour, mirrored); validation_query: queries a class in validation. vectors: a file of class vectors
    (format "vectors"), for learners of these: they see features of the backbone, of an episode its queries alone.
    """

    way: Annotated[int, Field(gt=1)] = 5
    shot: Annotated[int, Field(gt=0)] = 1
    query: Annotated[int, Field(gt=0)] = 15
    batch: Annotated[int, Field(gt=1)] = 16
    altered: bool = False
    validation_query: Annotated[int, Field(gt=0)] = 15
    vectors: str | None = None


class OptimiserSection(_Section):
    """Names and numbers as in torch; momentum is of sgd alone, betas of the others. clip: the largest norm of a gradient, 0: any."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    clip: Annotated[float, Field(ge=0)] = 0.0


class ScheduleSection(_Section):
    """The rate over the run. warmup: share of the steps in which it rises; steps: shares of the run at which "step" multiplies by `factor`."""

    name: Literal["constant", "cosine", "linear", "poly", "step"] = "constant"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    power: Annotated[float, Field(gt=0)] = 0.9
    steps: tuple[float, ...] = ()
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1


class ValidationSection(_Section):
    """Scores of unseen classes while training runs; the checkpoint that is best by `metric` is kept.

    every, episodes: validate `episodes` episodes after `every` episodes of training; support: what the support shows; empty: as in `SourceSection`.
    targets: of dense episodes, families that are not trained, and way and support mean nothing there. With class vectors every picture of
    the part is asked among all its classes, and episodes, way and shot mean nothing.
    """

    data: str
    part: Part = "val"
    every: Annotated[int, Field(gt=0)]
    episodes: Annotated[int, Field(gt=0)] = 1000
    way: Annotated[int, Field(gt=0)] = 1
    shot: Annotated[int, Field(gt=0)] = 1
    seed: int = 0
    support: Literal["mask", "tag"] = "mask"
    empty: bool = True
    metric: Literal["miou", "miou_official", "exact_ratio", "skill", "accuracy"] = "miou"
    targets: tuple[str, ...] = ()


class MachineSection(_Section):
    """Where it runs. devices: how many; precision: "bf16" multiplies in bfloat16 and keeps the trained numbers in float32."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Annotated[int, Field(gt=0)] = 1
    precision: Literal["float32", "bf16"] = "float32"


class Recipe(_Section):
    """An experiment.

    episodes: how many are drawn in all; batch: how many a step; save: write a state after so many; fold: of every
    benchmark that has several; data: benchmarks as `likewise evaluate` names them, by names of the recipe's own; of dense
    episodes also `pictures:FOLDER`, without labels.
    """

    seed: int = 0
    fold: Annotated[int, Field(ge=0)] = 0
    episodes: Annotated[int, Field(gt=0)]
    batch: Annotated[int, Field(gt=0)]
    save: Annotated[int, Field(gt=0)] = 1200
    method: MethodSection
    backbone: BackboneSection = BackboneSection()
    data: dict[str, str]
    source: Annotated[list[SourceSection], Field(min_length=1)]
    dense: DenseSection | None = None
    prompts: PromptsSection | None = None
    classes: ClassesSection | None = None
    optimiser: OptimiserSection = OptimiserSection()
    schedule: ScheduleSection = ScheduleSection()
    validation: ValidationSection | None = None
    machine: MachineSection = MachineSection()

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        named = [*(source.data for source in self.source), *([self.validation.data] if self.validation else [])]
        for name in named:
            if name not in self.data:
                raise ValueError(f"there is no data.{name}; {close_match(name, self.data)}")
        if self.episodes % self.batch:
            raise ValueError(f"{self.episodes} episodes are no whole number of batches of {self.batch}")
        if self.batch % self.machine.devices:
            raise ValueError(f"a batch of {self.batch} cannot be divided among {self.machine.devices} devices")
        self._check_dense()
        self._check_classes()
        return self

    def _check_classes(self) -> None:
        classes = self.classes is not None
        if self.validation is not None and classes != (self.validation.metric == "accuracy"):
            raise ValueError("validation.metric is 'accuracy' for classes of whole pictures, and for no others")
        if not classes:
            return
        if self.dense is not None or self.prompts is not None:
            raise ValueError("episodes are of one kind: leave [dense], [prompts] or [classes] out")
        if len(self.source) > 1 or self.source[0] != SourceSection(data=self.source[0].data, part=self.source[0].part):
            raise ValueError("classes of whole pictures have one source with data and part alone")
        if self.machine.devices > 1:
            raise ValueError("running statistics are of one process: classes of whole pictures are trained on one device")

    def _check_dense(self) -> None:
        dense = self.dense is not None
        if dense and self.prompts is not None:
            raise ValueError("episodes are dense or prompted: leave [dense] or [prompts] out")
        if self.prompts is None and any(source.classes or source.ways or source.most for source in self.source):
            raise ValueError("classes, most and ways of a source are of prompted episodes; there is no [prompts]")
        if self.prompts is not None and any(source.only_masked or source.masks < 100 for source in self.source):
            raise ValueError("prompted episodes need masks, of which prompts are made: leave masks and only_masked out")
        if not all(source.empty for source in self.source) and (dense or self.prompts is not None):
            raise ValueError("empty of a source is of episodes of one class: leave it out with [dense] and [prompts]")
        if dense and self.validation is not None and not self.validation.empty:
            raise ValueError("validation.empty is of episodes of classes: leave it out with [dense]")
        if dense and any(source.only_masked or source.masks < 100 for source in self.source):
            raise ValueError("masks and only_masked of a source are of episodes of classes; leave them out, and the target 'mask' too")
        if self.validation is not None and dense != bool(self.validation.targets):
            raise ValueError("validation.targets name the families of dense episodes" + ("" if dense else "; there is no [dense]"))
        if self.validation is not None and dense != (self.validation.metric == "skill"):
            raise ValueError("validation.metric is 'skill' for dense episodes, and for no others")

    @property
    def steps(self) -> int:
        """How many times the optimiser steps."""
        return self.episodes // self.batch


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of a TOML file with some values replaced, KEY=VALUE each, as in "optimiser.rate=1e-4" or "source.0.masks=5".

    Raises InputError that names every unknown key with the closest known one and every value that does not fit, UsageError
    for a change that is none.
    """
    try:
        content = tomllib.loads(read_bytes(path, _LARGEST).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"it is not valid TOML ({error})", where=str(path), remedy="Check it with a TOML editor") from error
    for change in changes:
        _change(content, change)
    return validate(Recipe, fixed_lists(content), path)


def _change(content: dict[str, Any], change: str) -> None:
    """Put the value of KEY=VALUE in its place; sections that are not there are made, so that the check names a wrong one."""
    key, separator, text = change.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not separator or not all(parts):
        raise UsageError(f"{change!r} is not KEY=VALUE", where="recipe", remedy="Write for example optimiser.rate=1e-4")
    place: Any = content
    for part in parts[:-1]:
        place = place[_index(place, part, key)] if isinstance(place, list) else place.setdefault(part, {})
        if not isinstance(place, dict | list):
            raise UsageError(f"{part!r} is a value, nothing is below it", where=key, remedy="Name a key of a section")
    place[_index(place, parts[-1], key) if isinstance(place, list) else parts[-1]] = _value(text)


def _index(place: list[Any], part: str, key: str) -> int:
    if not part.isdecimal() or int(part) >= len(place):
        raise UsageError(f"there is no entry {part!r} in a list of {len(place)}", where=key, remedy=f"Write a number from 0 to {len(place) - 1}")
    return int(part)


def _value(text: str) -> Any:
    """A value of TOML, or the text as it is where it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def fixed_lists(value: Any) -> Any:
    """Lists of plain values as tuples: TOML has no tuples, and strict models want them."""
    if isinstance(value, dict):
        return {key: fixed_lists(one) for key, one in value.items()}
    if isinstance(value, list) and not any(isinstance(one, dict) for one in value):
        return tuple(fixed_lists(one) for one in value)
    return [fixed_lists(one) for one in value] if isinstance(value, list) else value
