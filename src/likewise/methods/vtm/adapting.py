"""Tuning the biases to a support inside `learn`: what is held out, what is kept of an interrupted run."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from likewise.backbones.biases import BiasSets
from likewise.files import replacing, said_where
from likewise.methods.base import Progress
from likewise.methods.vtm.model import Vtm
from likewise.methods.vtm.tuning import Labelled, TuningSettings, TuningState, episode_loss, tune
from likewise.tensors import read_tensors, write_tensors

KEEP_EVERY = 10.0  # seconds of work that an interruption may cost
_GROUPS = ("current", "best", "moments")


def adapted(
    vtm: Vtm, examples: Labelled, start: BiasSets, settings: TuningSettings, folder: Path | None = None, progress: Progress | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The best biases that tuning found, and its curve.

    The held-out error is that of `divided`; `start` is a candidate too. folder: where the state of a tuning is kept until it
    is done, under a name that follows from all it depends on, so that the same one goes on where it was interrupted.
    progress: told (stage, steps, of).
    """
    own, support, query = divided(examples.encoded(vtm), held_out=settings.held_out)

    def check(biases: BiasSets) -> float:
        with torch.no_grad():
            return episode_loss(vtm, support, query, biases, settings).item()

    keeper = None if folder is None else Keeper(folder / f"{_fingerprint(vtm, examples, start, settings)}.safetensors")
    state = (keeper.read() if keeper else None) or TuningState(dict(start), dict(start))
    told = Told(progress, settings, state)

    def watch(reached: TuningState) -> None:
        told.tell(reached)
        if keeper:
            keeper.keep(reached)

    try:
        done = tune(vtm, own, state, settings, check, watch=watch)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped while tuning. The same command goes on where it was" if keeper else "stopped while tuning") from None
    if keeper:
        keeper.path.unlink(missing_ok=True)
    told.end(done)
    if not done.step:
        warnings.warn(f"{settings.seconds:g} seconds do not suffice for one step of tuning: the biases stay as they were", UserWarning, stacklevel=2)
    best = min(done.curve, key=lambda point: point[1])
    facts = {"curve": [list(point) for point in done.curve], "losses": list(done.losses), "best_step": best[0], "seconds": round(done.spent, 1)}
    return dict(done.best), facts


def divided(examples: Labelled, *, held_out: bool) -> tuple[Labelled, Labelled, Labelled]:
    """What is tuned on, and the support and the queries whose error decides.

    held_out: the last third of the pictures is not tuned on and is what the error is taken of, where there are three or more.
    Else all are tuned on, and the error is that of the second half given the first.
    """
    names = examples.pictures or tuple(range(len(examples)))
    pictures = list(dict.fromkeys(names))
    if held_out and len(pictures) > 2:
        last = pictures[-(len(pictures) // 3) :]
        held = torch.tensor([name in last for name in names])
        rest = examples.subset(torch.nonzero(~held)[:, 0])
        return rest, rest, examples.subset(torch.nonzero(held)[:, 0])
    half = -(-len(examples) // 2)
    return examples, examples.subset(torch.arange(half)), examples.subset(torch.arange(half, len(examples)))


class Told:
    """Words about a tuning for whom it concerns."""

    def __init__(self, progress: Progress | None, settings: TuningSettings, start: TuningState) -> None:
        self._progress, self._settings, self._from = progress, settings, start.step

    def tell(self, state: TuningState) -> None:
        """How far it is: by steps, or by seconds where these are limited."""
        if self._progress is not None:
            since = f", taken up after {self._from} steps" if self._from else ""
            stage = f"tuning{since}, held-out error {state.error:.4g} (untuned {state.curve[0][1]:.4g}), "
            seconds = self._settings.seconds
            done, of = (int(state.spent), int(seconds)) if seconds else (state.step, self._settings.steps)
            self._progress(f"{stage}{'seconds' if seconds else 'step'}", min(done, max(of - 1, 0)), of)

    def end(self, state: TuningState) -> None:
        """What came of it."""
        if self._progress is not None:
            best = min(state.curve, key=lambda point: point[1])[0]
            came = f"held-out error {state.curve[0][1]:.4g} -> {state.error:.4g}" if best else "the held-out error did not fall, the biases stay"
            self._progress(f"tuned: {came}; best step {best} of", state.step, state.step)


class Keeper:
    """The state of a tuning in a file, written at each look and every few seconds."""

    def __init__(self, path: Path) -> None:
        self.path, self._written, self._looks = path, time.monotonic(), 0

    def read(self) -> TuningState | None:
        """What was kept, None where there is nothing to take up."""
        return _read(self.path) if self.path.exists() else None

    def keep(self, state: TuningState) -> None:
        """Write the state, if the last time is long enough ago."""
        if len(state.curve) > self._looks or time.monotonic() - self._written > KEEP_EVERY:
            _write(self.path, state)
            self._written, self._looks = time.monotonic(), len(state.curve)


def _fingerprint(vtm: Vtm, examples: Labelled, start: BiasSets, settings: TuningSettings) -> str:
    """What a tuning depends on, but for how long it goes on."""
    total = hashlib.sha256(repr([item for item in asdict(settings).items() if item[0] not in ("steps", "seconds", "patience")]).encode())
    total.update(repr((vtm.pooling, vtm.head.config, vtm.image.config)).encode())
    networks = [network.state_dict()[name] for network in (vtm.image, vtm.head) for name in sorted(network.state_dict())]
    for tensor in (examples.images, examples.labels, examples.known, *(start[name] for name in sorted(start)), *networks):
        total.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return total.hexdigest()[:32]


def _write(path: Path, state: TuningState) -> None:
    tensors = {f"{group}/{name}": tensor for group in _GROUPS for name, tensor in getattr(state, group).items()}
    facts = {"step": state.step, "curve": state.curve, "losses": state.losses, "waited": state.waited, "spent": state.spent}
    with said_where(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            write_tensors(draft, tensors, {"facts": json.dumps(facts)})


def _read(path: Path) -> TuningState | None:
    """The state in a file; None, with a warning, for a file that cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {})["facts"])
            tensors = dict(read_tensors(file))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        warnings.warn(f"an interrupted tuning cannot be taken up, it begins anew ({path}: {error})", UserWarning, stacklevel=2)
        return None
    groups = {group: {name.removeprefix(f"{group}/"): t for name, t in tensors.items() if name.startswith(f"{group}/")} for group in _GROUPS}
    curve = tuple((int(step), float(error)) for step, error in told["curve"])
    return TuningState(**groups, step=told["step"], curve=curve, losses=tuple(told["losses"]), waited=told["waited"], spent=told["spent"])
