"""The learners that are trained on pictures with a class each, by the name that recipes use: a table to read from top to bottom."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from likewise.errors import UsageError, close_match
from likewise.methods.classifiers.episode_training import ClassTrainable

_HERE = "likewise.methods.classifiers"
TABLE: Mapping[str, tuple[str, str]] = {
    "prototypical": (f"{_HERE}.prototypical_training", "trainable"),
    "matching": (f"{_HERE}.matching_training", "trainable"),
    "relation": (f"{_HERE}.relation_training", "trainable"),
    "siamese": (f"{_HERE}.siamese_training", "trainable"),
    "maml": (f"{_HERE}.maml_training", "trainable"),
    "baseline": (f"{_HERE}.baseline_training", "trainable"),
    "baseline++": (f"{_HERE}.baseline_training", "trainable_plus"),
    "hallucinator": (f"{_HERE}.hallucinator_training", "trainable"),
}


def class_trainable(name: str, values: Mapping[str, Any], n_classes: int, *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> ClassTrainable[Any]:
    """What the loop trains of a learner on so many classes. UsageError for a name that is none and unknown settings, WeightsError for foreign tensors."""
    if name not in TABLE:
        raise UsageError(f"no learner of classes is called {name!r}", where="method.name", remedy=close_match(name, TABLE))
    module, attribute = TABLE[name]
    found: ClassTrainable[Any] = getattr(importlib.import_module(module), attribute)(values, n_classes, seed, start)
    return found
