"""The public face of what was learned: `Task`."""

from __future__ import annotations

import importlib
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

import likewise
from likewise import formats
from likewise.backbones import CacheCounts, FeatureProvider, FeatureSpec, ImageFeatures, Prepared, StageTimes
from likewise.data import ClassTable, Example, LabelledImage, Prediction, Support, Target
from likewise.data.channels import ChannelImage, Channels
from likewise.data.images import ImageSource, read_image
from likewise.errors import InputError, UsageError, WeightsError, close_match
from likewise.methods.base import PRESENCE_LEFT_OUT, Memory, Method, Progress, Query, to_device
from likewise.task import adapting, deciding, storage
from likewise.task.equipping import equipped_again
from likewise.task.file import digest_of
from likewise.task.finish import finish
from likewise.task.learning import (
    CHANNELS,
    Kept,
    Place,
    channels_of,
    check_fit,
    extract,
    learn_memory,
    open_provider,
    with_channels,
)
from likewise.task.left_out import left_out_presence
from likewise.task.refining import refined_map
from likewise.task.segment_anything import SegmentAnything, joined_scores
from likewise.task.split_choice import with_objects
from likewise.task.splitting import ASKED, Splitter, checked, spec_of
from likewise.task.thumbnails import Thumbnail


class Task:
    """What was learned, with everything that labelling needs. Made by `learn` or `load`.

    Predicting changes nothing; `update` and `forget` learn again from the kept features, without a backbone pass.
    """

    def __init__(
        self,
        method: Method,
        preset: str,
        memory: Memory,
        support: Support,
        kept: Kept | None,
        thumbnails: Sequence[Thumbnail],
        weights: Mapping[str, Mapping[str, str]],
        place: Place,
        provider: FeatureProvider | None = None,
    ) -> None:
        self.method, self.preset, self.memory, self.support = method, preset, memory, support
        self.thumbnails = list(thumbnails)
        self.weights = {role: dict(facts) for role, facts in weights.items()}
        self._kept, self._place, self._provider = kept, place, provider

    @property
    def classes(self) -> ClassTable:
        """Class numbers and names."""
        return self.support.classes

    @property
    def targets(self) -> dict[str, Target]:
        """Dense targets by name."""
        return self.support.targets

    @property
    def keypoints(self) -> tuple[str, ...]:
        """The names of keypoints."""
        return self.support.keypoints

    @property
    def channels(self) -> Channels | None:
        """The channels that are shown of pictures, None for all of a picture with one or three."""
        chosen = self.memory.facts.get(CHANNELS)
        return None if chosen is None else Channels(tuple(chosen))

    @property
    def left_out(self) -> dict[str, dict[str, Any]]:
        """What left-out prediction said of each class or target: {name: {"iou": ..., "by": "images" | "blocks", ...}}."""
        return dict(self.memory.facts.get("left_out", {}))

    @property
    def rules(self) -> dict[str, deciding.Rule]:
        """From which probability on an image is to be looked at for each class, and what that promises and costs; none unless `decide` was asked."""
        return deciding.rules_of(self.memory.facts, self.classes.names)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that predictions depend on, the weights' hash included."""
        facts = {
            "method": self.method.name,
            "settings": asdict(self.method.settings),
            "facts": self.memory.facts,
            "weights": self.weights,
            "classes": {str(number): name for number, name in self.classes.names.items()},
            "targets": {name: asdict(target) for name, target in self.targets.items()},
        }
        return digest_of(self.memory.tensors, facts)

    @property
    def manifest(self) -> dict[str, Any]:
        """The facts of the task as JSON-able values, as they stand in the task file."""
        return storage.manifest_of(self)

    def ready(self) -> FeatureProvider:
        """The feature provider, opened now if it was not yet. Raises WeightsError if the weights are missing or others."""
        if self._provider is None:
            wanted = self.weights["backbone"]
            method = equipped_again(self.method, self.weights)
            provider = open_provider(wanted["name"], self._place, method)
            if provider.backbone.sha256 != wanted["sha256"]:
                found = f"{wanted['name']} has sha256 {provider.backbone.sha256[:12]} here, the task was learned with {wanted['sha256'][:12]}"
                raise WeightsError(found, where="task", remedy="Get the weights that it was learned with, or learn the task again")
            self._provider, self.method = provider, method.mounted(provider.backbone)
        return self._provider

    @property
    def cached(self) -> CacheCounts | None:
        """How many features this task has read from its cache, and made, until now; None where it has none. Opens the weights, as `ready` does."""
        store = self.ready().store
        return None if store is None else replace(store.counts)

    def working_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) in pixels at which an image of `size` is shown to the backbone (the largest, if several)."""
        return max((self.ready().working_shape(size, spec) for spec in self._wishes), default=size)

    def prepare(self, source: ImageSource) -> Prepared:
        """An image decoded and resized; safe to call from several threads. Raises ImageError.

        Of a path the channels are shown that were chosen for the examples.
        """
        return self.ready().prepare(self._shown(source), self._wishes)

    def predict_prepared(self, batch: Sequence[Prepared], times: StageTimes | None = None) -> list[Prediction]:
        """Predictions for prepared images, in order; the seconds of each stage are added to `times`."""
        times = times if times is not None else StageTimes()
        provider = self.ready()
        features = adapting.moved({spec: provider.extract(batch, spec, times) for spec in self._wishes}, self.memory)
        start = time.perf_counter()
        with torch.inference_mode():
            raws = self.method.predict([Query(image.size) for image in batch], features, self._memory_on_device)
        middle = time.perf_counter()
        writer = formats.write_prediction
        found = [
            finish(raw, image.size, classes=self.classes, targets=self.targets, image=image.source, writer=writer)
            for raw, image in zip(raws, batch, strict=True)
        ]
        splitter = self._splitter
        if splitter is not None:
            finest = spec_of(self._wishes)
            of_each = [None] * len(batch) if finest is None else features[finest]
            found = [splitter.told_apart(one, raw, each) for one, raw, each in zip(found, raws, of_each, strict=True)]
        rules = self.rules
        found = [deciding.decided(one, rules) for one in found]
        times.add("method", middle - start)
        times.add("refine", time.perf_counter() - middle)
        return found

    @overload
    def predict(self, image: list[ImageSource] | tuple[ImageSource, ...]) -> list[Prediction]: ...
    @overload
    def predict(self, image: ImageSource) -> Prediction: ...
    def predict(self, image: ImageSource | list[ImageSource] | tuple[ImageSource, ...]) -> Prediction | list[Prediction]:
        """The prediction for an image (a path, a PIL image, an array), or a list of them for a list."""
        if isinstance(image, (list, tuple)):
            return [self.predict(one) for one in image]
        return self.predict_prepared([self.prepare(image)])[0]

    def decide(self, max_miss: float, *, progress: Progress | None = None) -> Task:
        """Say from now on which images are to be looked at, where this share (0..1) of those that show a class may be missed; returns this task, changed.

        Predictions then have `decided`, and `rules` what it promises and costs (`task.deciding`). Labels and probabilities stay as they are. The
        rule follows from left-out examples: the task holds what it says of them, or learns without them from kept features. Warns where they are too few
        for what is asked. Raises UsageError for what is no share and for an adapted task, InputError for a task without classes, a method that gives no
        presence, and a compact task that does not hold what is needed.
        """
        share = deciding.checked_share(max_miss)
        deciding.check_decidable(self.method, self.support)
        if adapting.FACT in self.memory.facts:
            raise UsageError("the task was adapted, and its left-out examples were not", where="decide", remedy="Decide by the task as it was learned")
        if PRESENCE_LEFT_OUT not in self.memory.facts and self._kept is not None:
            self.ready()
        scores = left_out_presence(self.memory, self._learner(), self.support, self._kept, progress)
        self._remember(deciding.with_rule(self.memory, share, scores))
        deciding.warn_of_few(self.rules)
        return self

    def refine(self, example: Example, by: SegmentAnything | None = None) -> Example:
        """The example with a label map in place of boxes, points, scribbles and tags: drawn by this task, held to what they say.

        by: a promptable network that is asked instead, but for tags (`task.segment_anything`).
        Dense maps, keypoints and tags of absent classes stay. An example whose pixels are all labelled comes back as it is. Raises
        InputError for labels that do not fit the image or this task's classes.
        """
        (labelled,) = Support([example], classes=dict(self.classes.names), targets=self.targets).examples
        drawn = self.refined_map(labelled, by)
        if drawn is None:
            return example
        absent: dict[int | str, bool] = {number: False for number, there in labelled.labels.tags.items() if not there}
        return Example(
            example.image,
            labelled.name,
            label_map=drawn,
            tags=absent,
            keypoints=example.keypoints,
            dense=example.dense,
            unlabelled=example.unlabelled,
        )

    def refined_map(self, example: LabelledImage, by: SegmentAnything | None = None) -> NDArray[np.int16] | None:
        """The label map (H, W) of an example of a support, as in `refine`; None where there is nothing coarse to turn into one."""
        labels = example.labels
        coarse = bool(labels.boxes or labels.points or labels.scribbles or any(labels.tags.values()))
        if example.image is None or not coarse or (labels.label_map is not None and labels.unlabelled == "background"):
            return None
        scores, picture = self.predict(example.image).scores, read_image(self._shown(example.image))
        if by is not None:
            scores = joined_scores(scores, by.chances(picture, labels, self.classes.numbers), self.classes.numbers)
        return refined_map(scores, labels, self.classes.numbers, picture)

    def label(self, images: str | Path, out: str | Path, **options: Any) -> Any:
        """Label a folder of images into `out`; the options and the summary are those of `likewise.labelling.label_folder`."""
        # by name: labelling stands above tasks and may not be imported here
        return importlib.import_module("likewise.labelling").label_folder(self, images, out, **options)

    def adapt(self, images: str | Path | formats.ImageList, by: str = "both") -> Task:
        """A task that is fitted to unlabelled images, of which at most 64 are looked at; this one stays as it is.

        by: "features" shifts what the backbone says of images to what it says of the examples; "prior" moves the presence of each class to
        how often the images seem to show it; or "both". `update` and `forget` drop it. Raises UsageError for methods that
        have none of these, InputError for a task that is adapted or compact, and where no image can be read.
        """
        listed = images if isinstance(images, formats.ImageList) else formats.list_images(Path(images))
        self.ready()
        memory = adapting.adapted(self, listed, by)
        return Task(self.method, self.preset, memory, self.support, self._kept, self.thumbnails, self.weights, self._place, self._provider)

    def update(self, more: Support, *, progress: Progress | None = None) -> Task:
        """Add examples and learn again from kept and new features; returns this task, changed.

        Equals learning anew from all examples with this task's settings: those that the first support settled, such as
        working sizes, stay. Raises InputError in a compact task, or where names or classes clash.
        """
        kept = self._features("update")
        if channels_of(more) != self.channels:
            told = "all" if self.channels is None else ",".join(map(str, self.channels.numbers))
            raise InputError(f"this task shows the channels {told} of pictures, the new examples others", where="update", remedy="Choose the same (--channels)")
        together = storage.joined(self.support, more)
        check_fit(self.method, together)
        new, pictures = extract(self.ready(), self.method, more, progress, bool(self.thumbnails))
        self._relearn(together, [*kept, *new], [*self.thumbnails, *pictures], progress)
        return self

    def forget(self, names: Sequence[str]) -> Task:
        """Drop examples by name and learn again from the others' features; returns this task, changed. Settings stay, as in `update`."""
        kept = self._features("forget")
        names = [names] if isinstance(names, str) else list(names)
        known = [example.name for example in self.support.examples]
        for name in names:
            if name not in known:
                raise InputError(f"there is no example {name!r}", where="forget", remedy=close_match(name, known))
        stay = [index for index, name in enumerate(known) if name not in names]
        if not stay:
            raise InputError("no example would be left", where="forget", remedy="Keep at least one")
        rest = self.support.subset(stay)
        check_fit(self.method, rest)
        self._relearn(rest, [kept[index] for index in stay], [picture for picture in self.thumbnails if picture.name not in names])
        return self

    def save(self, path: str | Path, *, compact: bool = False, thumbnails: bool = True, overwrite: bool = True) -> Path:
        """Write the task file and return its path.

        compact: without features and labels of the examples, so small, but `update` and `forget` are refused later;
        thumbnails: False leaves out the small pictures, for images that may not be passed on; if the method learns from
        pixels, these are pictures too, and the file is compact.
        """
        return storage.write(self, Path(path), compact=compact, thumbnails=thumbnails, overwrite=overwrite)

    def fingerprint(self) -> dict[str, str]:
        """What the bytes of an answer depend on: task, weights, engine, precision, device, instructions, version."""
        wishes = self._wishes
        engine = self.ready().describe(wishes[0]) if wishes else {}
        weights = {f"weights.{role}": facts["sha256"] for role, facts in self.weights.items()}
        return {
            "task": self.digest,
            **adapting.fingerprint(self.memory),
            **deciding.fingerprint(self.memory),
            **weights,
            **engine,
            "likewise": likewise.__version__,
            "torch": torch.__version__,
            "platform": platform.machine(),
        }

    def describe(self) -> dict[str, Any]:
        """The manifest, for `likewise inspect`; see there for what is in it."""
        return self.manifest

    def _shown(self, source: ImageSource) -> ImageSource:
        """A picture with the channels that are shown, where some were chosen and it is a file."""
        chosen = self.channels
        return ChannelImage(os.fspath(source), chosen) if chosen is not None and isinstance(source, (str, os.PathLike)) else source

    @property
    def _wishes(self) -> tuple[FeatureSpec, ...]:
        return self.method.wants(self.memory)

    @cached_property
    def _memory_on_device(self) -> Memory:
        return to_device(self.memory, torch.device("cpu"))

    @property
    def _splitter(self) -> Splitter | None:
        return Splitter.of(self.memory)

    def _features(self, what: str) -> Kept:
        if self._kept is None:
            raise InputError("the task is compact: the features of its examples were not kept", where=what, remedy="Learn again from the examples")
        return self._kept

    def _relearn(
        self, support: Support, kept: list[dict[FeatureSpec, ImageFeatures]], thumbnails: Sequence[Thumbnail], progress: Progress | None = None
    ) -> None:
        self.ready()
        method, max_miss = self._learner(), self.memory.facts.get(deciding.ASKED)
        asked = checked(self.memory.facts.get(ASKED, "auto"))
        memory = with_channels(with_objects(learn_memory(method, support, kept, progress), method, support, kept, asked), self.channels)
        self.support, self._kept, self.thumbnails = support, kept, list(thumbnails)
        self._remember(memory)
        if max_miss is not None:
            self.decide(max_miss, progress=progress)

    def _learner(self) -> Method:
        """The method as it learns again: with the checkpoint that its memory keeps, for those that have one."""
        again = self.method.trained and self.method.keeps_checkpoint
        return self.method.equipped(self.method.checkpoint_in(self.memory)) if again else self.method

    def _remember(self, memory: Memory) -> None:
        self.memory = memory
        for name in ("digest", "_memory_on_device"):
            self.__dict__.pop(name, None)

    @property
    def kept(self) -> Kept | None:
        """Features of the examples by wish, in order; None in a compact task."""
        return self._kept

    def __repr__(self) -> str:
        what = [*self.classes.names.values(), *self.targets, *self.keypoints]
        return f"Task({self.method.name}: {', '.join(what)}; {len(self.support)} examples; {self.weights['backbone']['name']})"
