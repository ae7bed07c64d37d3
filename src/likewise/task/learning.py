"""From a support to a task: check, extract features, learn."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likewise.backbones import FeatureProvider, FeatureSpec, FeatureStore, ImageFeatures, load_backbone, pick_device
from likewise.data import Example, LabelKind, OutputKind, Support
from likewise.data.channels import ChannelImage, Channels
from likewise.data.example import Unlabelled
from likewise.data.prediction import NONE_WORD
from likewise.errors import InputError, UsageError
from likewise.methods.base import Memory, Method, Preset, Progress, Query, RawPrediction, to_device
from likewise.methods.keypoints import with_heatmaps
from likewise.methods.prompts import PATCH_KINDS
from likewise.methods.registry import method_class
from likewise.task.thumbnails import Thumbnail, thumbnail

PRESETS = ("default", "fast", "best")
CHANNELS = "channels_shown"  # a fact of a memory: the channels of pictures that are shown, counted from 1
Kept = list[dict[FeatureSpec, ImageFeatures]]
_BETTER = {LabelKind.CLASS: ", `prototypical` for classes of whole images", LabelKind.VECTOR: ", `zero-shot-prototypical` for vectors of classes"}


@dataclass(frozen=True)
class Place:
    """Where and how a task runs: device, engine and precision, each "auto" unless chosen; cache: what keeps features between runs."""

    device: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    cache: FeatureStore | None = None

    @classmethod
    def of(cls, device: str, engine: str, precision: str, cache: str | Path | FeatureStore | None) -> Place:
        """The same with a cache that may be named by its folder, which then has no limit."""
        return cls(device, engine, precision, FeatureStore(Path(cache)) if isinstance(cache, str | Path) else cache)


def open_provider(backbone: str, place: Place, method: Method, features: Path | None = None) -> FeatureProvider:
    """The feature provider of a backbone by name ("auto" resolves to the default weights), or of that in the method's checkpoint.

    features: a folder that keeps features, in place of the cache of `place`. Raises UsageError where a backbone is named and the checkpoint has its own.
    """
    from likewise import weights

    network = method.backbone()
    if network is not None and backbone not in ("auto", network.name):
        raise UsageError("the checkpoint has its own image encoder", where="backbone", remedy="Leave the backbone out")
    if network is None:
        network = load_backbone(weights.resolve(backbone))
    return FeatureProvider(
        network,
        engine=place.engine,
        device=pick_device(place.device),
        precision=place.precision,
        cache=weights.cache_folder() / "openvino",
        features=features or place.cache,
    )


def make_method(name: str, preset: Preset, settings: Mapping[str, Any]) -> Method:
    """A method with the settings of a preset, some of them replaced. UsageError for unknown names."""
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}", where="preset", remedy=f"Use one of {', '.join(PRESETS)}")
    found = method_class(name)
    return found(found.Settings.preset(preset).changed(**settings))


def check_fit(method: Method, support: Support) -> None:
    """Raise InputError where the method cannot learn what the support asks; warn of classes without an example."""
    reachable = set(method.takes) | (set(PATCH_KINDS) if LabelKind.MASK in method.takes else set())
    reachable |= {LabelKind.KEYPOINT} if LabelKind.DENSE in method.takes else set()
    foreign = support.kinds() - reachable
    if foreign:
        listed = ", ".join(sorted(foreign))
        raise InputError(
            f"the method {method.name!r} does not learn from labels of the kind {listed}",
            where="support",
            remedy=f"Choose another method (`likewise methods`){next((said for kind, said in _BETTER.items() if kind in foreign), '')}",
        )
    if support.targets and OutputKind.DENSE not in method.gives:
        raise InputError(f"the method {method.name!r} gives no dense values", where="support", remedy="Choose another method (`likewise methods`)")
    if not support.classes.names and not support.targets and not support.keypoints:
        raise InputError("there is neither a class nor a target to learn", where="support", remedy="Name at least one class, or give dense maps")
    empty = [support.classes[number] for number in support.classes if not support.showing(number) and number not in support.class_vectors]
    nothing = len(empty) == len(support.classes) and not support.targets and not support.keypoints
    if empty and nothing and not method.from_good:
        raise InputError("no example shows any class", where="support", remedy="Label at least one image in which a class is present")
    if empty and not (nothing and method.from_good):
        warnings.warn(f"no example shows {', '.join(empty)}: predicted absent everywhere", UserWarning, stacklevel=4)
    missing = [name for name in support.targets if not any(name in example.labels.dense for example in support.examples)]
    if missing:
        raise InputError(f"no example has values of {', '.join(missing)}", where="support", remedy="Give a dense map, or leave the target out")
    _check_values(support)
    _check_pictures(support)


def channels_of(support: Support) -> Channels | None:
    """The channels that are shown of the examples' pictures, None where none were chosen. InputError where they differ."""
    chosen = {example.image.channels if isinstance(example.image, ChannelImage) else None for example in support.examples}
    if len(chosen) > 1:
        raise InputError("different channels are chosen for some of the examples", where="support", remedy="Choose the same for all of them")
    return next(iter(chosen), None)


def with_channels(memory: Memory, channels: Channels | None) -> Memory:
    """A memory that knows the channels of its pictures, so that others are shown in the same way."""
    return memory if channels is None else Memory(memory.tensors, {**memory.facts, CHANNELS: list(channels.numbers)})


def usual_method(support: Support) -> str:
    """The method that is taken where none is named: `prototypical` where classes of whole images are all that is given, else `analogy`.

    Of classes that have a vector and no image it is `zero-shot-prototypical`.
    """
    kinds = support.kinds()
    if kinds == {LabelKind.VECTOR}:
        return "zero-shot-prototypical"
    return "prototypical" if LabelKind.CLASS in kinds and kinds <= {LabelKind.CLASS, LabelKind.TAG} else "analogy"


def format_otherwise(method: str | None) -> str | None:
    """The format that examples are read in where none is recognised: `good` for methods that learn from images without labels, else None.

    Raises UsageError for an unknown method; None is the usual one.
    """
    return "good" if method is not None and method_class(method).from_good else None


def _check_pictures(support: Support) -> None:
    """Raise InputError where one picture is given as two classes of whole images, or a class has the name of none of them."""
    if NONE_WORD in support.classes.names.values() and support.kinds() & {LabelKind.CLASS, LabelKind.VECTOR}:
        raise InputError(
            f"a class is called {NONE_WORD!r}, which stands for none of the classes", where="classes", remedy="Call it otherwise, or tag the classes as absent"
        )
    seen: dict[str, tuple[str, int]] = {}
    for example in support.examples:
        label = example.labels.label
        if label is None:
            continue
        name, other = seen.setdefault(example.digest, (example.name, label))
        if other != label:
            told = f"the same picture is given as {support.classes[other]!r} in {name!r} and as {support.classes[label]!r} here"
            raise InputError(told, where=example.name, remedy="Keep it with the class that it shows")


def _check_values(support: Support) -> None:
    """Raise InputError where keypoints are visible nowhere; warn of single ones, and of targets that have one value alone."""
    visible = {name for example in support.examples for name, point in example.labels.keypoints.items() if point is not None}
    unseen = [name for name in support.keypoints if name not in visible]
    if unseen and not visible:
        raise InputError("no example shows any keypoint", where="support", remedy="Give at least one point: None says that it is not visible")
    if unseen:
        warnings.warn(f"no example shows {', '.join(unseen)}: predicted as not visible everywhere", UserWarning, stacklevel=5)
    for name in support.targets:
        maps = [example.labels.dense[name] for example in support.examples if name in example.labels.dense]
        low, high = (np.array([reduce(each, axis=(0, 1)) for each in maps]) for reduce in (np.nanmin, np.nanmax))
        if (low.min(0) == high.max(0)).all():
            told = ", ".join(f"{value:g}" for value in low[0])
            warnings.warn(f"every known value of {name!r} is {told}: that is predicted everywhere", UserWarning, stacklevel=5)


def extract(provider: FeatureProvider, method: Method, support: Support, progress: Progress | None, thumbnails: bool) -> tuple[Kept, list[Thumbnail]]:
    """Features of every example for every wish of the method, and small pictures; one decode and pass an example."""
    wishes = method.wants()
    kept: Kept = []
    pictures: list[Thumbnail] = []
    for index, example in enumerate(support.examples):
        if progress is not None:
            progress("examples", index, len(support))
        if example.image is None:
            raise InputError("the image of the example is not there, only its features", where=example.name, remedy="Learn from the images again")
        prepared = provider.prepare(example.image, wishes)
        kept.append({spec: provider.extract([prepared], spec)[0] for spec in wishes})
        if thumbnails:
            pictures.append(thumbnail(example, support.classes))
    if progress is not None:
        progress("examples", len(support), len(support))
    return kept, pictures


def by_spec(kept: Sequence[Mapping[FeatureSpec, ImageFeatures]], wishes: Sequence[FeatureSpec]) -> dict[FeatureSpec, list[ImageFeatures]]:
    """Features by wish, in the order of the images."""
    return {spec: [item[spec] for item in kept] for spec in wishes}


def learn_memory(method: Method, support: Support, kept: Kept, progress: Progress | None = None) -> Memory:
    """What the method learns from a support and its features; memory on the CPU."""
    with torch.inference_mode():
        memory = method.watched(progress).learn(with_heatmaps(method, support), by_spec(kept, method.wants()))
    return to_device(memory, torch.device("cpu"))


def among(kept: Mapping[FeatureSpec, ImageFeatures], wishes: Sequence[FeatureSpec]) -> dict[FeatureSpec, ImageFeatures]:
    """The kept features of an example for the wishes that they serve, also where more was asked for while learning: the picture beside the tokens."""
    found = {spec: next((own for other, own in kept.items() if spec in (other, dataclasses.replace(other, pixels=0))), None) for spec in wishes}
    return {spec: own for spec, own in found.items() if own is not None}


def raw_answer(method: Method, memory: Memory, known: Mapping[FeatureSpec, ImageFeatures], size: tuple[int, int]) -> RawPrediction:
    """What a method says of one image of `size` (H, W) by the features that it wants with this memory."""
    with torch.inference_mode():
        (raw,) = method.predict([Query(size)], {spec: [own] for spec, own in known.items()}, memory)
    return raw


def as_support(
    source: Support | Sequence[Example] | str | Path, format: str | None, split: str | None, unlabelled: Unlabelled | None, otherwise: str | None = None
) -> Support:
    """A support as it is, made of examples, or read from a path, see `formats.read_support`. UsageError where what is no path is told how to be read."""
    if not isinstance(source, str | Path):
        told = {"format": format, "split": split, "unlabelled": unlabelled}
        for name, value in told.items():
            if value is not None:
                raise UsageError("a Support is not read from a path", where=name, remedy="Give it to the Support or its examples, or leave it out")
        if isinstance(source, Support):
            return source
        strange = next((item for item in source if not isinstance(item, Example)), None)
        if strange is not None:
            raise InputError(
                f"a {type(strange).__name__} is no example", where="source", remedy="Give likewise.Example(image, masks={'name': mask}) and its like"
            )
        return Support(source)
    from likewise import formats

    return formats.read_support(source, format=format, split=split, unlabelled=unlabelled, otherwise=otherwise).support
