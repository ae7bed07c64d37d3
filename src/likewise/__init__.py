"""Likewise labels images by analogy: a person labels a few, Likewise labels the rest the same way.

    task = likewise.learn("examples/")
    prediction = task.predict("new.jpg")

The names below are loaded when they are first used, so that `import likewise` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise import methods as methods
    from likewise.data import Example as Example
    from likewise.data import Prediction as Prediction
    from likewise.data import Support as Support
    from likewise.data import Target as Target
    from likewise.task import Task as Task
    from likewise.task import learn as learn
    from likewise.task import load as load

__version__ = "0.1.0"
__all__ = ["Example", "Prediction", "Support", "Target", "Task", "__version__", "learn", "load", "methods"]

_HOMES = {
    "Example": "likewise.data",
    "Prediction": "likewise.data",
    "Support": "likewise.data",
    "Target": "likewise.data",
    "Task": "likewise.task",
    "learn": "likewise.task",
    "load": "likewise.task",
}


def __getattr__(name: str) -> Any:
    if name == "methods":
        return importlib.import_module("likewise.methods")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'likewise' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
