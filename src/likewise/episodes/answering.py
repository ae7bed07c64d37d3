"""The answer to one episode: learn from its support, answer its query, and read what was said."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.backbones import FeatureProvider
from likewise.data import Prediction
from likewise.episodes.benchmark import Benchmark, Frame
from likewise.episodes.sampling import Episode
from likewise.episodes.support import Labelling, Pairing, Prompting, support_of
from likewise.functional.calibration import PRESENT_FROM
from likewise.methods.base import Method, Query
from likewise.task.finish import finish
from likewise.task.learning import check_fit, extract, learn_memory


def answered(
    method: Method, provider: FeatureProvider, benchmark: Benchmark, episode: Episode, prompting: Prompting | Labelling = "mask", pairing: Pairing = "pairs"
) -> Prediction:
    """What a method says of the query of an episode, after its support alone. Raises InputError for images and labels that cannot be used."""
    support = support_of(episode, benchmark, prompting, pairing)
    check_fit(method, support)
    settled = method.settled(support)
    kept, _ = extract(provider, settled, support, None, thumbnails=False)
    memory = learn_memory(settled, support, kept)
    wishes = settled.wants(memory)
    prepared = provider.prepare(benchmark.source(episode.query), wishes)
    features = {spec: provider.extract([prepared], spec) for spec in wishes}
    with torch.inference_mode():
        (raw,) = settled.predict([Query(prepared.size)], features, memory)
    return finish(raw, prepared.size, classes=support.classes, targets={}, image=None)


def labels_in(prediction: Prediction, frame: Frame = "fscs") -> NDArray[np.integer]:
    """Labels 0..N; in FS-S, where the class is known to be there, and N-way the likeliest of classes and background whatever their presence."""
    if frame == "fscs":
        return prediction.labels
    return np.asarray(prediction.scores.argmax(axis=0), np.uint8)


def present_in(prediction: Prediction) -> list[bool]:
    """Whether each class is there: likelier than not, or where a method gives no probability, whether any pixel is of it."""
    probabilities = {number: prediction.present.get(name) for number, name in prediction.classes.names.items()}
    return [bool((prediction.labels == number).any()) if p is None or np.isnan(p) else p >= PRESENT_FROM for number, p in probabilities.items()]
