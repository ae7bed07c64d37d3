"""Accuracy over the episodes of a benchmark of classes, one journal line an episode, so that an evaluation that was stopped goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from likewise.episodes.classification.answering import Answers
from likewise.episodes.classification.benchmark import Asked, ClassBenchmark
from likewise.episodes.classification.outcome import ClassOutcome
from likewise.episodes.classification.sampling import ClassEpisode, Draw, closer_look_episodes, episode_at, prototypical_episodes
from likewise.episodes.classification.splits import Part
from likewise.episodes.journal import open_journal
from likewise.errors import UsageError
from likewise.functional.intervals import Rule

Sampler = Literal["numbered", "prototypical", "closer-look"]
RULES: Mapping[Sampler, Rule] = {"numbered": "sample", "prototypical": "sample", "closer-look": "population"}  # of the published code
PUBLISHED_SEED, PUBLISHED_EPISODES = 1234, 1000  # Snell et al. 2017
Told = Callable[[int, int], None]  # episodes done, of how many


@dataclass(frozen=True, kw_only=True)
class ClassSetting:
    """The episodes to answer: of a part of the classes, `way` classes, `shot` supports and `queries` queries of each.

    sampler: "numbered", any episode by its number; "prototypical", the published sampler of Snell et al. 2017; "closer-look", that of
    Chen et al. 2019. Of a benchmark whose episodes are fixed only `episodes` counts.
    """

    part: Part = "test"
    way: int = 5
    shot: int = 1
    queries: int = 15
    episodes: int = 600
    seed: int = 0
    sampler: Sampler = "numbered"

    @property
    def rule(self) -> Rule:
        """How the interval is made."""
        return RULES[self.sampler]

    def facts(self) -> dict[str, Any]:
        """Plain values, without how many episodes there are: a longer run may follow a shorter one."""
        return {name: value for name, value in asdict(self).items() if name != "episodes"}


def published_sampler(setting: ClassSetting, benchmark: str, episodes: int | None = None) -> ClassSetting:
    """The setting with the sampler that is published for a benchmark: of characters that of Snell et al. 2017 by its seed, else that of Chen et al. 2019.

    episodes: how many, None for the published number, 1,000 and 600.
    """
    if benchmark.startswith("omniglot"):
        return replace(setting, sampler="prototypical", seed=setting.seed or PUBLISHED_SEED, episodes=episodes or PUBLISHED_EPISODES)
    return replace(setting, sampler="closer-look", episodes=episodes or setting.episodes)


def drawn_episodes(draw: Draw, setting: ClassSetting) -> Iterator[ClassEpisode]:
    """The episodes of a setting in order. UsageError where they cannot be drawn."""
    if setting.sampler == "prototypical":
        return prototypical_episodes(draw, setting.episodes, setting.seed)
    if setting.sampler == "closer-look":
        return closer_look_episodes(draw, setting.episodes, setting.seed)
    return (episode_at(draw, index, setting.seed) for index in range(setting.episodes))


def asked_episodes(benchmark: ClassBenchmark, setting: ClassSetting) -> list[tuple[Asked, list[int]]]:
    """The items of every episode and the places of its classes; of fixed ones, which have classes of their own, the places in the episode.

    UsageError for episodes that cannot be drawn, InputError for a part without classes.
    """
    if benchmark.fixed:
        return [(asked, list(range(len(asked.support)))) for asked in benchmark.fixed[: setting.episodes]]
    items = benchmark.part(setting.part)
    draw = items.draw(setting.way, setting.shot, setting.queries)
    if setting.queries < 1 or setting.shot < 1 or setting.episodes < 1:
        raise UsageError("an episode has a support, a query and a number", where="shot, queries, episodes", remedy="Ask for one at least")
    draw.check()
    return [(items.asked(episode), episode.classes.tolist()) for episode in drawn_episodes(draw, setting)]


def evaluate_classes(
    benchmark: ClassBenchmark, setting: ClassSetting, answers: Answers, facts: Mapping[str, Any], folder: Path | None = None, told: Told | None = None
) -> list[ClassOutcome]:
    """The outcomes of all episodes of a setting; those that `folder` holds of the same are taken from there.

    facts: what the answers depend on besides. Raises UsageError and InputError as `asked_episodes`, OutputError for a folder of something else.
    """
    episodes = asked_episodes(benchmark, setting)
    lists = hashlib.sha256(repr(benchmark.fixed).encode()).hexdigest() if benchmark.fixed else benchmark.digest(setting.part)
    with open_journal(folder, {"benchmark": benchmark.name, "lists": lists, **setting.facts(), **facts}, ClassOutcome) as journal:
        for index, (asked, classes) in islice(enumerate(episodes), len(journal.outcomes), None):
            if told is not None:
                told(index, len(episodes))
            journal.add(judged(index, asked, classes, answers))
        if told is not None:
            told(len(episodes), len(episodes))
        return [outcome for outcome in journal.outcomes[: len(episodes)] if isinstance(outcome, ClassOutcome)]


def judged(index: int, asked: Asked, classes: list[int], answers: Answers) -> ClassOutcome:
    """The outcome of an episode."""
    sizes = [len(row) for row in asked.query]
    right = answers(asked) == np.repeat(np.arange(len(sizes)), sizes)
    ends = np.cumsum(sizes)
    return ClassOutcome(index, classes, sizes, [int(part.sum()) for part in np.split(right, ends[:-1])])
