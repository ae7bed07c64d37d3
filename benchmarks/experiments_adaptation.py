"""MAML against joint pre-training and a random start: one encoder, one inner loop over all its parameters, more and more steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from adapting import Start, Trajectories, encoder_start, learned_start
from experiments import CALTECH, CHECKPOINT, OMNIGLOT, Column, Experiment, Notes, Row, Runs, head, line, opened, trained
from likewise.methods.classifiers.baseline_training import BaselineTraining
from likewise.methods.classifiers.episode_training import NetworkTraining
from likewise.methods.classifiers.maml_model import MamlNetwork
from likewise.methods.classifiers.training_table import class_trainable

WAY, SHOTS = 5, (1, 5)


@dataclass(frozen=True)
class Loop:
    """The inner loop on some data: that by which MAML was trained there, and after how many steps it is asked, over at most so many episodes."""

    data: str
    title: str
    word: str
    rate: float
    steps: Mapping[int, int]

    def columns(self) -> list[Column]:
        """All numbers of steps of all shots."""
        return [Column(f"{self.data}-{shot}-{steps}", f"{steps}", self.word, WAY, shot, most=most) for shot in SHOTS for steps, most in self.steps.items()]


LOOPS = (
    Loop("omniglot", "Characters", OMNIGLOT, 0.1, {0: 300, 1: 300, 5: 300, 20: 100, 100: 40}),
    Loop("caltech", "Photographs", CALTECH, 0.01, {0: 100, 1: 100, 5: 100, 20: 40}),
)
Made = tuple[Start, NetworkTraining]


def row(loop: Loop, name: str, title: str, run: str, found: Runs, make: Callable[..., Made], *, slow: bool = False) -> list[Row]:
    """A row of what `make` makes of a run; none where it is missing. slow: steps of a tenth of MAML's rate."""
    folder = found.find(f"{run}-{loop.data}")
    if folder is None:
        return []
    rate = loop.rate / 10 if slow else loop.rate

    @cache
    def walked() -> Trajectories:
        start, reader = make(trained(folder))
        return Trajectories(start, reader, opened(loop.word), rate)

    name, title = f"{loop.data}-{name}" + ("-slow" if slow else ""), f"{title}, {rate:g}"
    return [Row(name, title, lambda _, column: walked().at(int(column.title)), loop.columns(), [folder / CHECKPOINT], {"rate": rate})]


def learned(maml: NetworkTraining) -> Made:
    """The start that MAML learned."""
    assert isinstance(maml.network, MamlNetwork)
    return learned_start(maml.network), maml


def pretrained(base: BaselineTraining, *, by_support: bool = False, head_alone: bool = False) -> Made:
    """The encoder of a classifier of the base classes with a new head."""
    return encoder_start(base.encoder, base.side, WAY, by_support=by_support, head_alone=head_alone), base


def untrained(base: BaselineTraining) -> Made:
    """The same encoder as it was before training."""
    settings = {key: getattr(base.settings, key) for key in ("encoder", "side", "pixels")}
    new = class_trainable("baseline", settings, WAY)
    assert isinstance(new, BaselineTraining)
    return pretrained(new, by_support=True)


def rows(runs: Runs) -> list[Row]:
    """The starts that there are runs for."""
    found: list[Row] = []
    for loop in LOOPS:
        found += row(loop, "maml", "MAML, second order", "maml", runs, learned)
        found += row(loop, "maml-first", "MAML, first order", "maml-first-order", runs, learned)
        for slow in (False, True):
            support, head_alone = partial(pretrained, by_support=True), partial(pretrained, head_alone=True)
            found += row(loop, "pretrained", "pre-trained, norms by the support as in MAML", "baseline", runs, support, slow=slow)
            found += row(loop, "pretrained-own", "pre-trained, norms by their training", "baseline", runs, pretrained, slow=slow)
            found += row(loop, "head", "pre-trained, head alone moves", "baseline", runs, head_alone, slow=slow)
        found += row(loop, "random", "random start", "baseline", runs, untrained)
    return found


def lines(notes: Notes) -> list[str]:
    """A table for each data and number of shots, a column a number of steps."""
    found: list[str] = []
    for loop in LOOPS:
        for shot in SHOTS:
            columns = [column for column in loop.columns() if column.shot == shot]
            own = [(row.title, [notes.of(row, column) for column in columns]) for row in notes.rows if row.name.startswith(f"{loop.data}-")]
            if any(any(cells) for _, cells in own):
                found += [f"{loop.title}, {WAY} way, {shot} shot:", ""]
                found += head(["start, rate; after so many steps:", *(column.title for column in columns)])
                found += [*(line([title, *cells]) for title, cells in own if any(cells)), ""]
    return found


EXPERIMENT = Experiment("adaptation", rows, lines)
