"""Which images are to be looked at for a class, where a given share of those that show it may be missed.

The threshold follows from left-out examples that show the class (`functional.conformal`), not from the probabilities themselves: it may lie far below
or above a half. What it costs is counted on left-out examples that do not show the class, of which it knows nothing. Two things the rule supposes and
cannot know: that the examples were drawn like the images (those that somebody picked as clear cases were not), and that what was learned from all
examples scores like what was learned without some of them. The latter is no theorem (Barber et al. 2021, "Predictive inference with the jackknife+");
what was learned from fewer examples scores lower as a rule, which errs towards more images to look at.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likewise.data import OutputKind, Prediction, Support
from likewise.errors import InputError, UsageError
from likewise.functional.calibration import PRESENT_FROM
from likewise.functional.conformal import allowed_rank, fewest_scores, miss_at_worst, miss_promised, miss_threshold
from likewise.functional.shares import share_interval
from likewise.methods.base import PRESENCE_LEFT_OUT, Memory, Method
from likewise.task.left_out import Scores, shared

ASKED = "max_miss"  # a fact of a memory: the share that may be missed, where a rule was asked for
NAMED = 6  # classes that a warning names
_OPTION, _REMEDY = "--max-miss", "Write a share above 0 and below 100 %, for example 1% or 0.01"
_SHARE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)\s*")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """From which probability on an image is to be looked at for a class.

    max_miss: the share that was asked for; shown: left-out examples that show the class; rank: of the threshold among their scores, from the smallest, 0 where
    there are none and the threshold is the usual one; without: left-out examples that do not show it; alarms: how many of these reach the threshold.
    """

    max_miss: float
    threshold: float
    rank: int
    shown: int
    alarms: int
    without: int

    @property
    def promised(self) -> float:
        """The chance of a miss that the rule stays below on average, 1 for none: more than was asked for where the examples are too few."""
        return miss_promised(self.shown, self.rank)

    @property
    def kept(self) -> bool:
        """Whether what was asked for can be promised."""
        return allowed_rank(self.shown, self.max_miss) >= 1

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, with `promised`, `at_worst` (in 19 of 20 draws of the examples) and `alarm_interval` (95 %); None for unknown."""
        worst = miss_at_worst(self.shown, self.rank) if self.rank else None
        interval = list(share_interval(self.alarms, self.without)) if self.without else None
        return {**dataclasses.asdict(self), "promised": self.promised, "kept": self.kept, "at_worst": worst, "alarm_interval": interval}

    def sentence(self) -> str:
        """What it promises and costs, in words.

        >>> print(Rule(max_miss=0.1, threshold=0.25, rank=1, shown=9, alarms=1, without=4).sentence())
        looked at from 0.250; misses at most 10.0 % on average, 28.3 % in 19 of 20 cases (9 left-out examples); false alarms 1 of 4 without it (4.6 to 69.9 %)
        """
        if not self.rank:
            return f"looked at from {self.threshold:.3f}, which promises nothing: no example of it could be left out"
        told = self.as_dict()
        misses = f"misses at most {100 * self.promised:.1f} % on average, {100 * told['at_worst']:.1f} % in 19 of 20 cases ({self.shown} left-out examples)"
        cost = "false alarms unknown: every left-out example shows it"
        if told["alarm_interval"]:
            low, high = (100 * edge for edge in told["alarm_interval"])
            cost = f"false alarms {self.alarms} of {self.without} without it ({low:.1f} to {high:.1f} %)"
        return f"looked at from {self.threshold:.3f}; {misses}; {cost}"


def parse_share(text: str) -> float:
    """A share from 1% or 0.01; UsageError for anything else.

    >>> parse_share("1%"), parse_share("0.05")
    (0.01, 0.05)
    """
    found = _SHARE.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no share", where=_OPTION, remedy=_REMEDY)
    return checked_share(float(found[1]) / (100 if found[2] else 1), text)


def checked_share(share: float, written: str | None = None) -> float:
    """A share that may be missed; UsageError for what is not above 0 and below 1, as `written`."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise UsageError(f"of the images that show a class {written or share!r} cannot be the share that may be missed", where=_OPTION, remedy=_REMEDY)
    return float(share)


def check_decidable(method: Method, support: Support) -> None:
    """Raise InputError where there is no class, or the method does not say whether one is there."""
    if OutputKind.PRESENCE not in method.gives:
        remedy = "Choose a method that gives presence (`likewise methods`)"
        raise InputError(f"the method {method.name!r} does not say how likely a class is there", where=_OPTION, remedy=remedy)
    if not support.classes.names:
        raise InputError("there is no class to look for, only targets or keypoints", where=_OPTION, remedy="Label a class, or leave the option out")


def with_rule(memory: Memory, max_miss: float, scores: Scores | None) -> Memory:
    """A memory that decides, with the scores that it decides by.

    InputError without these. Warns once where what was asked for cannot be promised.
    """
    if scores is None:
        told = "the task holds neither what it says of examples that it has not seen, nor their features"
        raise InputError(told, where=_OPTION, remedy="Learn it anew with --max-miss, or without --compact")
    return Memory(memory.tensors, {**memory.facts, PRESENCE_LEFT_OUT: scores, ASKED: max_miss})


def rules_of(facts: Mapping[str, Any], classes: Mapping[int, str]) -> dict[str, Rule]:
    """The rule of each class by the facts of a memory; none where none was asked for."""
    if ASKED not in facts:
        return {}
    return {name: _rule(facts[ASKED], *shared(facts.get(PRESENCE_LEFT_OUT, {}), name)) for name in classes.values()}


def fingerprint(memory: Memory) -> dict[str, str]:
    """What a run has to say of the share that may be missed, {} where none was asked for."""
    return {} if ASKED not in memory.facts else {ASKED: f"{memory.facts[ASKED]:g}"}


def warn_of_few(rules: Mapping[str, Rule]) -> None:
    """Warn once of the classes for which what was asked for cannot be promised, and say what can be."""
    short = {name: rule for name, rule in rules.items() if not rule.kept}
    if not short:
        return
    asked = next(iter(short.values())).max_miss
    best, worst = (choose(rule.promised for rule in short.values()) for choose in (min, max))
    can = f"{100 * best:.1f} %" if best == worst else f"{100 * best:.1f} to {100 * worst:.1f} %"
    named = ", ".join(list(short)[:NAMED]) + (f" and {len(short) - NAMED} more" if len(short) > NAMED else "")
    warnings.warn(
        f"{100 * asked:g} % missed cannot be promised for {named}: it takes {fewest_scores(asked)} examples that show a class. "
        f"Images are looked at that score at least as high as the lowest left-out example of the class, which promises {can} (100 %: nothing)",
        UserWarning,
        stacklevel=3,
    )


def decided(prediction: Prediction, rules: Mapping[str, Rule]) -> Prediction:
    """The prediction with what its rules say; itself without rules."""
    if not rules:
        return prediction
    return dataclasses.replace(prediction, decided={name: prediction.present.get(name, 0.0) >= rule.threshold for name, rule in rules.items()})


def _rule(max_miss: float, shown: list[float], without: list[float]) -> Rule:
    threshold, rank = miss_threshold(shown, max_miss) if shown else (PRESENT_FROM, 0)
    return Rule(max_miss=max_miss, threshold=threshold, rank=rank, shown=len(shown), alarms=sum(score >= threshold for score in without), without=len(without))
