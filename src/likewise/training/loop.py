"""The one loop that trains every `Trainable`: draw episodes, add up their losses, step, validate, keep the best.

Every episode and all chance in it follow from the seed and the episode's index. So a run that was killed goes on exactly
as if nothing had happened, and several processes, each with its share of a batch, do what one does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import likewise
from likewise import weights
from likewise.errors import InputError, OutputError
from likewise.formats.files import json_bytes, write_atomic
from likewise.methods.base import Method
from likewise.methods.trainable import Trainable
from likewise.training.curves import curves
from likewise.training.machine import launched, share_gradients, summed
from likewise.training.optimiser import make_optimiser, rate_factor, set_rate
from likewise.training.preparing import Prepared, prepare
from likewise.training.recipe import Recipe
from likewise.training.record import CsvLog, read_log
from likewise.training.state import Best, State, forget, read_state, restore, save_state
from likewise.training.watching import Silent, Watcher, listed

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LOSSES, VALIDATIONS, CURVES = "losses.csv", "validations.csv", "curves.svg"
BEST, LAST = "best.safetensors", "last.safetensors"
_APART: dict[str, Any] = {
    "machine": True,
    "save": True,
    "backbone": {"features": True, "folder": True},
}  # of a recipe: what may change between the parts of a run


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    checkpoint: the one to use; best: the best validation, None without any; losses: means of the first and the last tenth of
    the steps; whole: whether the method can use the checkpoint as it is, or it is a part to begin another training from.
    """

    checkpoint: Path
    best: Best | None
    losses: tuple[float, float]
    whole: bool = True


def train(recipe: Recipe, out: Path, *, anew: bool = False, watcher: Watcher | None = None) -> Outcome:
    """Train by a recipe into a folder; a run that was broken off there goes on, `anew` begins again.

    Raises UsageError, InputError and WeightsError for a recipe that cannot be run, before anything slow, and OutputError for a
    folder that holds another run or in which another process trains.
    """
    from filelock import FileLock, Timeout

    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            if anew:
                forget(out)
            if recipe.machine.devices > 1:
                prepare(recipe, torch.device("cpu"), Silent())  # an error in a process of its own could not be told as what it is
            checkpoint, best, losses, whole = launched(recipe.machine, _run, recipe, out, watcher or Silent())
            return Outcome(out / checkpoint, None if best is None else Best(*best), losses, whole)
    except Timeout as error:
        raise OutputError("another process trains here", where=str(out), remedy="Wait for it, or choose another folder") from error


_Told = tuple[str, tuple[int, dict[str, float]] | None, tuple[float, float], bool]  # an outcome in plain values, as processes hand it over


def _run(fabric: Fabric, recipe: Recipe, out: Path, watcher: Watcher) -> _Told:
    """The run, in each of its processes."""
    with torch.random.fork_rng(devices=[]):
        run = _Run(fabric, recipe, out, watcher if fabric.global_rank == 0 else Silent())
        try:
            return run.all_steps()
        finally:
            run.watcher.end()


class _Run:
    """A run under way."""

    def __init__(self, fabric: Fabric, recipe: Recipe, out: Path, watcher: Watcher) -> None:
        self.fabric, self.recipe, self.out, self.watcher = fabric, recipe, out, watcher
        self.ready: Prepared = prepare(recipe, fabric.device, watcher)
        self.trainable: Trainable[Any] = self.ready.trainable
        self.trainable.to(fabric.device)
        self.parameters: list[nn.Parameter] = list(self.trainable.parameters())
        self.optimiser = make_optimiser(recipe.optimiser, self.parameters)
        self.first = fabric.global_rank == 0
        self.facts = _facts(recipe, self.ready)
        state = read_state(out, self.facts)
        self.done, self.best = (0, None) if state is None else (state.episodes, state.best)
        if state is not None:
            restore(out, self.trainable.checkpoint(), self.optimiser)
        fabric.barrier()  # nobody writes before all have read
        self.losses: CsvLog | None = None
        self.validations = None if self.ready.validation is None else self._log(VALIDATIONS, list(self.ready.validation.columns))

    def all_steps(self) -> _Told:
        """Step until all episodes are done."""
        if self.first:
            write_atomic(self.out / "recipe.json", json_bytes(self.recipe.model_dump(mode="json")))
        self.watcher.begin(self.recipe.episodes, self.done)
        while self.done < self.recipe.episodes:
            before = self.done
            self._step()
            validated = self.ready.validation is not None and self._passed(before, self.ready.every)
            if validated:
                self._validate()
            if validated or self._passed(before, self.recipe.save) or self.done == self.recipe.episodes:
                self._save()
        return self._finish()

    def _passed(self, before: int, every: int) -> bool:
        """Whether the last step came to, or over, a multiple; the end of the run is one."""
        return self.done // every > before // every or self.done == self.recipe.episodes

    def _step(self) -> None:
        recipe, batch = self.recipe, self.recipe.batch
        step = self.done // batch
        self.optimiser.zero_grad(set_to_none=True)
        totals: dict[str, torch.Tensor] = {}
        for place in range(self.fabric.global_rank, batch, self.fabric.world_size):
            for name, value in self._episode(self.done + place).items():
                totals[name] = totals.get(name, 0) + value.detach().float() / batch
        share_gradients(self.fabric, self.parameters)
        terms = dict(zip(totals, summed(self.fabric, torch.stack(list(totals.values()))).tolist(), strict=True))
        if not all(math.isfinite(value) for value in terms.values()):
            raise InputError(
                f"the loss is {terms['loss']} after {self.done} episodes", where="optimiser.rate", remedy="Lower the rate, or clip gradients (optimiser.clip)"
            )
        if recipe.optimiser.clip:
            nn.utils.clip_grad_norm_(self.parameters, recipe.optimiser.clip)
        rate = recipe.optimiser.rate * rate_factor(recipe.schedule, step, recipe.steps)
        set_rate(self.optimiser, rate)
        self.optimiser.step()
        self._record({**terms, "rate": rate})
        self.done += batch
        self.watcher.step(self.done, terms["loss"])

    def _episode(self, index: int) -> Mapping[str, torch.Tensor]:
        """The terms of an episode's loss, after its gradients were added to those of the batch."""
        seed = int.from_bytes(hashlib.sha256(f"{self.recipe.seed} {index}".encode()).digest()[:7], "big")
        torch.manual_seed(seed)  # of modules that draw by themselves, dropout for one
        episode = self.ready.episode(index, self.fabric.device)
        with self.fabric.autocast():
            terms = self.trainable.episode_loss(episode, torch.Generator().manual_seed(seed))
        self.fabric.backward(terms["loss"] / self.recipe.batch)
        return terms

    def _validate(self) -> None:
        assert self.ready.validation is not None
        scores = self.ready.validation.scores(self.trainable, self.fabric.global_rank, self.fabric.world_size, self.fabric.device)
        if self.validations is not None:
            self.validations.add(self.done, scores)
        self.watcher.say(f"after {self.done:,} episodes: {listed(scores)}")
        if self.best is None or scores[self.ready.metric] > self.best.scores[self.ready.metric]:
            self.best = Best(self.done, scores)
            self._write(BEST)

    def _save(self) -> None:
        if self.first:
            save_state(self.out, State(self.done, self.best, self.facts), self.trainable.checkpoint(), self.optimiser)

    def _finish(self) -> _Told:
        self._write(LAST)
        if not self.first:
            return LAST, None, (0.0, 0.0), True
        rows = read_log(self.out / LOSSES)
        picture = curves(rows, read_log(self.out / VALIDATIONS) if self.validations is not None else [], f"{self.recipe.method.name}, {self.done:,} episodes")
        write_atomic(self.out / CURVES, picture.encode())
        tenth = max(1, len(rows) // 10)
        means = [sum(row["loss"] for row in part) / tenth for part in (rows[:tenth], rows[-tenth:])]
        best = None if self.best is None else (self.best.episodes, dict(self.best.scores))
        return LAST if best is None else BEST, best, (means[0], means[1]), self.trainable.method() is not None

    def _record(self, values: Mapping[str, float]) -> None:
        if self.first and self.losses is None:
            self.losses = self._log(LOSSES, list(values))
        if self.losses is not None:
            self.losses.add(self.done + self.recipe.batch, values)

    def _log(self, name: str, columns: list[str]) -> CsvLog | None:
        return CsvLog(self.out / name, columns, self.done) if self.first else None

    def _write(self, name: str) -> None:
        """The trained tensors as a checkpoint that `--checkpoint` takes."""
        if self.first:
            tensors = {key: tensor.detach().cpu() for key, tensor in self.trainable.checkpoint().items()}
            weights.write_checkpoint(tensors, self.out / name, self._card())

    def _card(self) -> weights.Card:
        origin = {"episodes": self.done, "recipe": self.facts["recipe"], "likewise": self.facts["likewise"]}
        return weights.Card(self.recipe.method.name, _settings(self.trainable.method()), self.ready.backbone, self.ready.draws.told(), origin)


def _settings(method: Method | None) -> dict[str, Any]:
    """The settings of a method that differ from its defaults."""
    if method is None:
        return {}
    defaults = asdict(method.Settings())
    return {name: value for name, value in asdict(method.settings).items() if value != defaults[name]}


def _told(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain values; newer switches only where they are used, so that older runs go on."""
    content = recipe.model_dump(mode="json", exclude=_APART if recipe.classes else _APART | {"classes": True})
    for section in (*content["source"], content["validation"] or {}):
        if section.get("empty"):
            del section["empty"]
    if content.get("classes", {}).get("vectors", "") is None:
        del content["classes"]["vectors"]
    return content


def _facts(recipe: Recipe, ready: Prepared) -> dict[str, Any]:
    """What must be the same for a run to go on: the recipe, its images, the weights of the backbone and the versions that make the numbers."""
    content, images = _told(recipe), [names for _, names in ready.draws.names()]
    recipe_digest, image_digest = (hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest() for each in (content, images))
    return {
        "recipe": recipe_digest,
        "images": image_digest,
        "backbone": ready.backbone.get("sha256", ""),
        "likewise": likewise.__version__,
        "torch": torch.__version__,
    }
