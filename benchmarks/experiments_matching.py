"""The table of the Matching Networks paper (Vinyals et al. 2016) on characters: pixels, a base classifier, a matching network, fine-tuned or not.

All rows answer by cosine with the support. Fine-tuning is the same for both networks: a new linear head behind the encoder, some steps of gradient
descent over all parameters on the support, then the head is left away. Its rate is the best of some on validation classes.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from adapting import Labels, encoder_start
from experiments import CHECKPOINT, OMNIGLOT, Column, Experiment, Notes, Row, Runs, cosine_matching, head, line, plain_lines, trained
from likewise.episodes.classification.answering import Answers, PixelAnswers
from likewise.episodes.classification.benchmark import Asked, ClassBenchmark
from likewise.methods.classifiers.baseline_training import BaselineTraining
from likewise.methods.classifiers.episode_training import support_labels
from likewise.methods.classifiers.matching_training import MatchingTraining
from likewise.training.classes import Pictures, TrainedAnswers

SIDE, STEPS, RATES = 28, 10, (0.001, 0.01, 0.1)
RATE = {"base": 0.001, "matching": 0.001}  # the best of RATES
COLUMNS = [Column(f"{way}-{shot}", f"{way} way, {shot} shot", OMNIGLOT, way, shot, most=None if way == 5 else 60) for way in (5, 20) for shot in (1, 5)]
CHOOSING = [Column(f"val-5-{shot}", f"5 way, {shot} shot", OMNIGLOT, 5, shot, most=100, part="val") for shot in (1, 5)]
NETWORKS = {"base": ("baseline-omniglot", "base classifier"), "matching": ("matching-omniglot", "matching network")}
Learner = BaselineTraining | MatchingTraining


class TunedAnswers:
    """Answers by cosine of features of a learner's encoder that was fine-tuned on the support of the episode."""

    def __init__(self, learner: Learner, benchmark: ClassBenchmark, way: int, rate: float) -> None:
        self.learner, self.rate, self.pictures = learner, rate, Pictures(benchmark, learner)
        self.start = encoder_start(learner.encoder, learner.side, way)

    def __call__(self, asked: Asked) -> Labels:
        """See `Answers`."""
        episode = self.pictures.episode(asked)
        supports, queries = (self.learner.numbers(part).flatten(0, 1) for part in (episode.support, episode.query))
        moved = self.start.moved(self.start.parameters, supports, support_labels(episode.support), STEPS, self.rate)
        with torch.no_grad():
            known = self._features(moved, supports)
            return np.asarray(cosine_matching(known.reshape(*episode.support.shape[:2], -1), self._features(moved, queries)).argmax(dim=1))

    def _features(self, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        own = {name.removeprefix("feature."): value for name, value in parameters.items() if name.startswith("feature.")}
        found: Tensor = functional_call(self.start.network.get_submodule("feature"), own, (images,))
        return found


def plain(learner: Learner, benchmark: ClassBenchmark, _: Column) -> Answers:
    """Answers by cosine of features as they were trained."""
    return TrainedAnswers(learner, benchmark, cosine_matching)


def tuned(learner: Learner, rate: float, benchmark: ClassBenchmark, column: Column) -> Answers:
    """Answers by cosine of features that are fine-tuned on each support."""
    return TunedAnswers(learner, benchmark, column.way, rate)


def rows(runs: Runs) -> list[Row]:
    """Pixels, and both networks as far as they were trained."""
    found = [Row("pixels", "pixels", lambda benchmark, _: PixelAnswers(benchmark, SIDE), COLUMNS)]
    for name, (run, title) in NETWORKS.items():
        if (folder := runs.find(run)) is None:
            continue
        learner, paths = trained(folder), (folder / CHECKPOINT,)
        assert isinstance(learner, Learner)
        found.append(Row(name, title, partial(plain, learner), [*CHOOSING, *COLUMNS], paths))
        for rate in RATES:
            columns = [*CHOOSING, *COLUMNS] if rate == RATE[name] else CHOOSING
            facts = {"steps": STEPS, "rate": rate}
            found.append(Row(f"{name}-tuned-{rate}", f"{title}, fine-tuned on the support", partial(tuned, learner, rate), columns, paths, facts))
    return found


def lines(notes: Notes) -> list[str]:
    """The table, and below it what rates of fine-tuning came to on validation classes."""
    found = [*plain_lines(COLUMNS, notes), "", f"{STEPS} steps of fine-tuning by rates, on validation classes:", ""]
    found += head(["", "rate", *(column.title for column in CHOOSING)])
    for row in notes.rows:
        if any(cells := [notes.of(row, column) for column in CHOOSING]):
            found.append(line([row.title, row.facts.get("rate", "none"), *cells]))
    return found


EXPERIMENT = Experiment("matching", rows, lines)
