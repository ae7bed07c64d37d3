"""Checkpoints of a run: all that a run needs to go on exactly where it was, as tensors and a small JSON file.

    state-NUMBER.safetensors   trained tensors ("weights.*") and what the optimiser remembers ("optimiser.*")
    state.json                 which of them counts, how many episodes are done, the best validation so far, what the run is

The JSON file is replaced last, as a whole, so a run that is killed at any moment leaves a state that fits together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from likewise import weights
from likewise.errors import InputError, OutputError
from likewise.formats.files import json_bytes, read_json, write_atomic
from likewise.training.optimiser import optimiser_tensors, restore_optimiser
from likewise.weights.cache import sha256_of

FORMAT = 1
FILE = "state.json"
_ANEW = "Train into another folder, or begin anew by --force"


@dataclass(frozen=True)
class Best:
    """The best validation: after how many episodes, and its scores."""

    episodes: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class State:
    """Where a run stands. facts: what makes it this run, all of which must be the same to go on."""

    episodes: int
    best: Best | None
    facts: Mapping[str, Any]


def save_state(folder: Path, state: State, trained: Mapping[str, Tensor], optimiser: Optimizer) -> None:
    """Write the state of a run; the one before is removed at the end."""
    name = f"state-{state.episodes}.safetensors"
    tensors = {f"weights.{key}": tensor for key, tensor in trained.items()}
    tensors |= {f"optimiser.{key}": tensor for key, tensor in optimiser_tensors(optimiser).items()}
    weights.write_checkpoint({key: tensor.detach().cpu() for key, tensor in tensors.items()}, folder / name)
    content = {"format": FORMAT, **asdict(state), "file": name, "sha256": sha256_of(folder / name)}
    write_atomic(folder / FILE, json_bytes(content))
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def read_state(folder: Path, facts: Mapping[str, Any]) -> State | None:
    """The state of the run in a folder; None where there is none.

    Raises OutputError where it is another run's, InputError where it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        best = None if content["best"] is None else Best(int(content["best"]["episodes"]), dict(content["best"]["scores"]))
        state = State(int(content["episodes"]), best, dict(content["facts"]))
        fits = content["format"] == FORMAT
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"it is no state of a training run ({error!r})", where=str(path), remedy=_ANEW) from error
    if not fits:
        raise InputError(f"its format is {content['format']}, this program reads {FORMAT}", where=str(path), remedy=_ANEW)
    other = sorted(key for key in {*facts, *state.facts} if facts.get(key) != state.facts.get(key))
    if other:
        raise OutputError(f"it holds another run: {', '.join(other)} differ", where=str(folder), remedy=_ANEW)
    return state


def restore(folder: Path, trained: Mapping[str, Tensor], optimiser: Optimizer) -> None:
    """Write what a run had trained into the tensors of another, and give its optimiser what it remembered.

    Raises InputError for a file that is missing, cut off or does not fit.
    """
    content = read_json(folder / FILE)
    path = folder / str(content["file"])
    if not path.is_file() or sha256_of(path) != content["sha256"]:
        raise InputError("the tensors of the run are missing or damaged", where=str(path), remedy=_ANEW)
    tensors, _ = weights.read_checkpoint(path)
    saved = {key.removeprefix("weights."): tensor for key, tensor in tensors.items() if key.startswith("weights.")}
    if saved.keys() != trained.keys() or any(saved[key].shape != tensor.shape for key, tensor in trained.items()):
        raise InputError("the tensors of the run are not those that are trained", where=str(path), remedy=_ANEW)
    with torch.no_grad():
        for key, tensor in trained.items():
            tensor.copy_(saved[key])
    remembered = {key.removeprefix("optimiser."): tensor for key, tensor in tensors.items() if key.startswith("optimiser.")}
    restore_optimiser(optimiser, remembered, str(path))


def forget(folder: Path) -> None:
    """Remove the state of a run, so that it begins anew."""
    for path in (folder / FILE, *folder.glob("state-*.safetensors")):
        path.unlink(missing_ok=True)
