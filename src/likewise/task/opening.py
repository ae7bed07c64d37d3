"""How a task comes to be: learned from labelled examples, or opened from its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from likewise.backbones import FeatureStore
from likewise.data import Example, Support
from likewise.data.example import Unlabelled
from likewise.methods.base import Preset, Progress
from likewise.methods.keypoints import with_heatmaps
from likewise.task import deciding, storage
from likewise.task.equipping import equip
from likewise.task.face import Task
from likewise.task.learning import (
    Place,
    as_support,
    channels_of,
    check_fit,
    extract,
    format_otherwise,
    learn_memory,
    open_provider,
    with_channels,
)
from likewise.task.split_choice import with_objects
from likewise.task.splitting import checked


def learn(
    source: Support | Sequence[Example] | str | Path,
    method: str = "analogy",
    backbone: str = "auto",
    checkpoint: str | Path | None = None,
    device: str = "auto",
    preset: Preset = "default",
    *,
    engine: str = "auto",
    precision: str = "auto",
    format: str | None = None,
    split: str | None = None,
    unlabelled: Unlabelled | None = None,
    thumbnails: bool = True,
    progress: Progress | None = None,
    cache: str | Path | FeatureStore | None = None,
    instances: str = "auto",
    max_miss: float | None = None,
    **settings: Any,
) -> Task:
    """A task learned from labelled examples.

    source: a `Support`, examples, or the path of examples in any format that `likewise.formats` reads; method: a name of
    `likewise methods`; backbone: a name of `likewise weights list` or "auto"; checkpoint: a file of the method's own trained
    weights, for methods that have any ("random": untrained), which brings its settings and its backbone; preset: "fast", "default" or "best";
    unlabelled: what pixels without a label are in examples that are read from a path, None for what their files say;
    max_miss: the share of the images that show a class that may be missed, as in `Task.decide`;
    instances: how masks are split into objects: "parts", "watershed", "depth", "offsets", "off" for not at all, or "auto" for what suits the examples best
    where they tell objects apart; settings: single settings of the method, over the checkpoint's and the preset's; progress: called with (stage, done, of);
    cache: a folder that
    keeps features, so that an image passes the backbone once (None: that of LIKEWISE_FEATURES, if any), or a `FeatureStore` with a limit.
    Raises InputError for examples that cannot be used, UsageError for unknown names, WeightsError without weights.
    """
    asked = checked(instances)
    share = None if max_miss is None else deciding.checked_share(max_miss)
    ready = equip(method, preset, settings, checkpoint, backbone)
    support = as_support(source, format, split, unlabelled, format_otherwise(method))
    check_fit(ready.method, support)
    if share is not None:
        deciding.check_decidable(ready.method, support)
    chosen = ready.method.settled(with_heatmaps(ready.method, support))
    place = Place.of(device, engine, precision, cache)
    provider = open_provider(ready.backbone, place, chosen)
    ready.check(provider.backbone)
    chosen = chosen.mounted(provider.backbone)
    kept, pictures = extract(provider, chosen, support, progress, thumbnails)
    memory = with_channels(with_objects(learn_memory(chosen, support, kept, progress), chosen, support, kept, asked), channels_of(support))
    weights = {**provider.weights(chosen.wants()), **ready.weights}
    task = Task(chosen, preset, memory, support, kept, pictures, weights, place, provider)
    return task if share is None else task.decide(share, progress=progress)


def load(path: str | Path, *, device: str = "auto", engine: str = "auto", precision: str = "auto", cache: str | Path | FeatureStore | None = None) -> Task:
    """A task from its file; cache: as in `learn`. Raises TaskFileError for a file that is missing, foreign, broken, edited or too new.

    The weights are opened at the first prediction (or by `Task.ready`); WeightsError then says which are missing.
    """
    stored = storage.read(Path(path))
    place = Place.of(device, engine, precision, cache)
    return Task(stored.method, stored.preset, stored.memory, stored.support, stored.kept, stored.thumbnails, stored.weights, place)
