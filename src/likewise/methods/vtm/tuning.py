"""Bias tuning: the biases of the image encoder fitted to a few labelled images, everything else as it was.

Source: Kim et al. 2023, section 3.4, and its code: at each step the examples are shuffled, one half is the support and the
other the queries; one step of Adam on the biases. Now and then the error on held-out examples is taken; the best biases
are kept. Beyond it: a limit of seconds, and the biases from before the first step count as a candidate like any other, so
that tuning never makes the held-out error worse. Label tokens do not depend on the biases: they are made once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from likewise.backbones.biases import BiasSets
from likewise.methods.vtm.model import Vtm, as_label
from likewise.methods.vtm.objective import hybrid_loss

Check = Callable[[BiasSets], float]


@dataclass(frozen=True, kw_only=True)
class TuningSettings:
    """How biases are tuned; defaults of the published code.

    seconds: limit of time, 0 for none; every: steps between two looks at the held-out error, of which a limit of time has
    about ten; patience: looks without
    progress before the end; dropout: on the attention of the matching; drop_path: of branches of the last block, less
    before; entropy: cross-entropy for every channel, as official code has it by a slip; all_pixels: unknown pixels count as
    0 in the mean, as they do there; held_out: whether the error that decides is of pictures that are not tuned on, see
    `adapting.divided`. Published: they are tuned on too, and their error falls when that on others does not.
    """

    learning_rate: float = 0.005
    steps: int = 20_000
    seconds: float = 0.0
    every: int = 100
    patience: int = 5
    dropout: float = 0.5
    drop_path: float = 0.1
    entropy: bool = False
    all_pixels: bool = False
    held_out: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Labelled:
    """Examples: images (E, 3, H, W) in 0..1; labels (C, E, H, W) in 0..1 and known (C, E, H, W) of 0 and 1; categorical (C,) bool.

    values: of the matching, (C, E, h*w, Z) for each level; () before they are made by `encoded`. pictures: of each example the
    number of the picture that it is a crop of; () where each is a picture of its own.
    """

    images: Tensor
    labels: Tensor
    known: Tensor
    categorical: Tensor
    values: tuple[Tensor, ...] = ()
    pictures: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, places: Tensor) -> Labelled:
        """Some of the examples, in that order."""
        values, pictures = tuple(level[:, places] for level in self.values), tuple(self.pictures[place] for place in places.tolist()) if self.pictures else ()
        return replace(self, images=self.images[places], labels=self.labels[:, places], known=self.known[:, places], values=values, pictures=pictures)

    def encoded(self, vtm: Vtm) -> Labelled:
        """The same with the values of its labels."""
        with torch.no_grad():
            return replace(self, values=vtm.head.values(self.seen))

    @property
    def seen(self) -> Tensor:
        """The labels as the label encoder sees them."""
        return as_label(self.labels, self.known)


@dataclass(frozen=True)
class TuningState:
    """Where tuning stands, enough to go on as if it had not been interrupted.

    current, best: biases; moments: of Adam, two tensors a name; curve: (step, held-out error), the first before any step;
    waited: looks without progress; spent: seconds.
    """

    current: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    moments: Mapping[str, Tensor] = field(default_factory=dict)
    step: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    losses: tuple[float, ...] = ()
    waited: int = 0
    spent: float = 0.0

    @property
    def error(self) -> float:
        """The least held-out error so far."""
        return min((error for _, error in self.curve), default=math.inf)


def episode_loss(vtm: Vtm, support: Labelled, query: Labelled, biases: BiasSets, settings: TuningSettings, generator: torch.Generator | None = None) -> Tensor:
    """The loss of queries given a support, under a row of biases for each channel; without a generator nothing is dropped."""
    drop = None if generator is None else branch_dropper(settings.drop_path, generator)
    memory = vtm.remember(support.images, support.seen, biases, share=False, drop=drop, values=support.values)
    dropout = 0.0 if generator is None else settings.dropout
    logits = vtm.logits(query.images, memory, batch=len(query), dropout=dropout, drop=drop).transpose(0, 1)
    categorical = torch.ones_like(query.categorical) if settings.entropy else query.categorical
    return hybrid_loss(fitted(logits, query.labels), query.labels, query.known, categorical[:, None], official=settings.all_pixels)


def fitted(logits: Tensor, like: Tensor) -> Tensor:
    """Logits (C, B, h, w) at the size of maps (C, B, H, W); they differ where the patch of the image encoder is not 16."""
    if logits.shape[-2:] == like.shape[-2:]:
        return logits
    return nn.functional.interpolate(logits, size=like.shape[-2:], mode="bilinear", align_corners=False)


def branch_dropper(rate: float, generator: torch.Generator) -> Callable[[int, int], Tensor]:
    """Factors (L, 2, X) on residual branches: 0 with a chance that grows over the blocks from 0 to `rate`, else its make-up."""

    def drop(depth: int, count: int) -> Tensor:
        keep = 1 - torch.linspace(0, rate, depth)[:, None, None].expand(depth, 2, count)
        return torch.bernoulli(keep, generator=generator) / keep

    return drop


Watch = Callable[[TuningState], None]


class Tuner:
    """Adam on bias sets: `step` after `step`, from a state and back into one."""

    def __init__(self, vtm: Vtm, state: TuningState, settings: TuningSettings) -> None:
        self.vtm, self.settings = vtm, settings
        self.biases = {name: nn.Parameter(tensor.clone()) for name, tensor in state.current.items()}
        self.optimiser = torch.optim.Adam(self.biases.values(), lr=settings.learning_rate)
        if state.moments:
            for name, parameter in self.biases.items():
                first, second = (state.moments[f"{part}.{name}"].clone() for part in ("first", "second"))
                self.optimiser.state[parameter] = {"step": torch.tensor(float(state.step)), "exp_avg": first, "exp_avg_sq": second}

    def step(self, support: Labelled, query: Labelled, generator: torch.Generator | None = None) -> float:
        """The loss before this step."""
        self.optimiser.zero_grad()
        loss = episode_loss(self.vtm, support, query, self.biases, self.settings, generator)
        torch.autograd.backward(loss)
        self.optimiser.step()
        return loss.item()

    def current(self) -> dict[str, Tensor]:
        """Copies of the biases as they are now."""
        return {name: parameter.detach().clone() for name, parameter in self.biases.items()}

    def moments(self) -> dict[str, Tensor]:
        """Copies of what Adam remembers."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.biases.items():
            own = self.optimiser.state[parameter]
            found |= {f"first.{name}": own["exp_avg"].clone(), f"second.{name}": own["exp_avg_sq"].clone()}
        return found


def tune(vtm: Vtm, examples: Labelled, state: TuningState, settings: TuningSettings, check: Check, *, watch: Watch | None = None) -> TuningState:
    """The state when tuning is over: by steps, seconds, or because the held-out error does not get less any more.

    check: the held-out error of biases; watch: called with the state after the first look and each step, from any of which
    tuning can be taken up again. Raises ValueError for fewer than two examples. The global random state stays as it is.
    """
    if len(examples) < 2:
        raise ValueError(f"tuning splits the examples into two halves; there are {len(examples)}")
    clock, watch = _Clock(settings.seconds, state.spent), watch or (lambda _: None)
    if not state.curve:
        error = clock.timed("look", partial(check, state.current))
        state = replace(state, best=state.current, curve=((0, error),), spent=clock.spent)
        watch(state)
    tuner, looked = Tuner(vtm, state, settings), clock.spent
    while state.step < settings.steps and state.waited < settings.patience and clock.has_time():
        number = state.step
        loss = clock.timed("step", partial(_shuffled_step, tuner, examples, number))
        state = replace(state, current=tuner.current(), moments=tuner.moments(), step=number + 1, losses=(*state.losses, loss), spent=clock.spent)
        due = state.step % settings.every == 0 or state.step == settings.steps
        if due or not clock.has_time() or clock.spent - looked >= clock.part:
            error = clock.timed("look", partial(check, state.current))
            state, looked = replace(_looked(state, error), spent=clock.spent), clock.spent
        watch(state)
    return state


def _looked(state: TuningState, error: float) -> TuningState:
    """The state with one more point of its curve."""
    better = error < state.error
    curve = (*state.curve, (state.step, error))
    return replace(state, curve=curve, best=state.current if better else state.best, waited=0 if better else state.waited + 1)


class _Clock:
    """Seconds that were spent, and whether there is time for one more step and the look behind it.

    Before the first step was timed it is taken for three looks: there are gradients to be made, and more of the drawn halves.
    """

    def __init__(self, limit: float, spent: float) -> None:
        self.limit, self.part = limit, limit / 10 if limit else math.inf
        self._start, self._longest = time.monotonic() - spent, {"look": 0.0, "step": 0.0}

    @property
    def spent(self) -> float:
        return time.monotonic() - self._start

    def timed(self, kind: str, action: Callable[[], float]) -> float:
        """What an action gives, its time taken."""
        start = time.monotonic()
        found = action()
        self._longest[kind] = max(self._longest[kind], time.monotonic() - start)
        return found

    def has_time(self) -> bool:
        look = self._longest["look"]
        return not self.limit or self.spent + (self._longest["step"] or 3 * look) + look < self.limit


def _shuffled_step(tuner: Tuner, examples: Labelled, step: int) -> float:
    """A step on random halves; all chance follows from the seed and the number of the step, so that a resumed run is the same."""
    generator = torch.Generator().manual_seed(tuner.settings.seed * 1_000_003 + step)
    order = torch.randperm(len(examples), generator=generator)
    half = -(-len(examples) // 2)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))  # of the dropout on attention
        return tuner.step(examples.subset(order[:half]), examples.subset(order[half:]), generator)
