"""Tuning the biases to a support inside `learn`: what is held out, what is kept of an interrupted run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from likewise.backbones.biases import BiasSets
from likewise.errors import InputError
from likewise.files import replacing
from likewise.methods.vtm.model import Vtm
from likewise.methods.vtm.tuning import Labelled, TuningSettings, TuningState, episode_loss, tune

_GROUPS = ("current", "best", "moments")


def adapted(vtm: Vtm, examples: Labelled, start: BiasSets, settings: TuningSettings, resume: Path | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The best biases that tuning found, and its curve.

    The held-out error is the loss of the second half of the examples, given the first; `start` is a candidate too. resume:
    a file that holds the state of a run that was interrupted, written at each look. Raises InputError where that file is of
    another run.
    """
    half = -(-len(examples) // 2)
    support, query = examples.subset(torch.arange(half)), examples.subset(torch.arange(half, len(examples)))

    def check(biases: BiasSets) -> float:
        with torch.no_grad():
            return episode_loss(vtm, support, query, biases, settings).item()

    origin = _fingerprint(examples, start, settings)
    state = _read(resume, origin) if resume is not None and resume.exists() else TuningState(dict(start), dict(start))
    watch = None if resume is None else lambda reached: _write(resume, reached, origin)
    done = tune(vtm, examples, state, settings, check, watch=watch)
    best = min(done.curve, key=lambda point: point[1])
    facts = {"curve": [list(point) for point in done.curve], "losses": list(done.losses), "best_step": best[0], "seconds": round(done.spent, 1)}
    return dict(done.best), facts


def _fingerprint(examples: Labelled, start: Mapping[str, Tensor], settings: TuningSettings) -> str:
    """What a run depends on, but for how long it goes on."""
    total = hashlib.sha256(repr([item for item in asdict(settings).items() if item[0] not in ("steps", "seconds", "patience")]).encode())
    for tensor in (examples.images, examples.labels, examples.known, *(start[name] for name in sorted(start))):
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()


def _write(path: Path, state: TuningState, origin: str) -> None:
    from safetensors.torch import save_file

    tensors = {f"{group}/{name}": tensor.contiguous() for group in _GROUPS for name, tensor in getattr(state, group).items()}
    facts = {"step": state.step, "curve": state.curve, "losses": state.losses, "waited": state.waited, "spent": state.spent}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, draft, metadata={"origin": origin, "facts": json.dumps(facts)})


def _read(path: Path, origin: str) -> TuningState:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            facts, names = file.metadata() or {}, list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(f"it holds no tuning that could be taken up: {error}", where=str(path), remedy="Name another file") from error
    if facts.get("origin") != origin:
        raise InputError("it is of another tuning: other examples, biases or settings", where=str(path), remedy="Name another file, or delete this one")
    told = json.loads(facts["facts"])
    groups = {group: {name.removeprefix(f"{group}/"): t for name, t in tensors.items() if name.startswith(f"{group}/")} for group in _GROUPS}
    curve = tuple((int(step), float(error)) for step, error in told["curve"])
    return TuningState(**groups, step=told["step"], curve=curve, losses=tuple(told["losses"]), waited=told["waited"], spent=told["spent"])
