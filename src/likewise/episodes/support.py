"""From an episode to what a method learns from: how images become (class, shot) pairs, and masks become weaker labels.

    pairs   as published: each (class, image) drawn is an example of its own, in which its class alone is labelled and all
            else, other classes of the episode too, is background; an image drawn for two classes is there twice
    joint   each image drawn is there once, with all classes of the episode that it shows: nothing is called background that
            is not, but a class may then have more examples than shots
    drawn   the same, but an image drawn for two classes is there twice, as in Label Anything's code

Weaker labels are made of the masks: as a person would give them (`prompting`), or as Label Anything's code makes them (`prompted.simulation`), drawn
by the seed and the episode alone. With `pairs` a tag, box or point says nothing of other classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from likewise.data import ClassTable, Example, LabelKind, Labels, Support
from likewise.episodes.benchmark import Benchmark
from likewise.episodes.items import VOID
from likewise.episodes.prompted.simulation import SUBSETS, Chance, Kind, simulated
from likewise.episodes.prompting import PromptKind, prompted
from likewise.episodes.sampling import Episode
from likewise.episodes.truth import objects_in, truth_of
from likewise.errors import InputError, UsageError

Labelling = Literal["mask", "box", "point", "scribble", "tag", "mix"]
Pairing = Literal["pairs", "joint", "drawn"]
Simulator = Literal["person", "published"]

KINDS: Mapping[Labelling, frozenset[LabelKind]] = {
    "mask": frozenset({LabelKind.MASK}),
    "box": frozenset({LabelKind.BOX}),
    "point": frozenset({LabelKind.POINT}),
    "scribble": frozenset({LabelKind.SCRIBBLE}),
    "tag": frozenset({LabelKind.TAG}),
    "mix": frozenset({LabelKind.MASK, LabelKind.BOX, LabelKind.POINT}),
}
_BY_PERSON: Mapping[Labelling, PromptKind] = {"mask": "mask", "box": "box", "point": "point", "scribble": "scribble", "tag": "tag"}
_PUBLISHED: Mapping[Labelling, tuple[Kind, ...]] = {"mask": ("mask",), "box": ("bbox",), "point": ("point",)}


@dataclass(frozen=True)
class Prompting:
    """How the labels of a support are made of its masks.

    labelling: what they are; "mix" is Label Anything's training: for each episode one of the seven sets of masks, boxes and points, of
    which each object's prompt is drawn; points, negative: points a class, and outside of all, of a person; simulator: a "person",
    or the "published" code, which makes one prompt an object; seed: all that chance hangs on. Raises UsageError for what does not fit.
    """

    labelling: Labelling = "mask"
    points: int = 1
    negative: int = 0
    simulator: Simulator = "person"
    seed: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if self.points < 1 or self.negative < 0:
            raise UsageError(
                f"{self.points} points and {self.negative} negative ones", where="support", remedy="Ask for at least one point, or for another support"
            )
        if (self.points, self.negative) != (1, 0) and (self.labelling != "point" or self.simulator != "person"):
            raise UsageError(
                "numbers of points belong to points of a person", where="support", remedy="Use --support point with --prompts person, or leave them out"
            )
        if self.simulator == "published" and self.labelling not in (*_PUBLISHED, "mix"):
            raise UsageError(f"the published code makes no {self.labelling}s", where="support", remedy="Use mask, box, point or mix, or --prompts person")
        if self.simulator == "person" and self.labelling == "mix":
            raise UsageError("the mix of masks, boxes and points is that of the published code", where="support", remedy="Add --prompts published")


def support_of(episode: Episode, benchmark: Benchmark, prompting: Prompting | Labelling = "mask", pairing: Pairing = "pairs") -> Support:
    """The support of an episode: class n in the order drawn has the number n + 1 and its name.

    Raises InputError where a support image does not show the class that it was drawn for.
    """
    asked = Prompting(prompting) if isinstance(prompting, str) else prompting
    names = [benchmark.class_names[number] for number in episode.classes]
    examples = _pairs(episode) if pairing == "pairs" else _joint(episode, once=pairing == "joint")
    maker = _Maker(asked, benchmark, episode, names)
    return Support([maker.example(name, places, f"{copy}/{name}") for copy, (name, places) in enumerate(examples)], dict(enumerate(names, start=1)))


def _pairs(episode: Episode) -> list[tuple[str, list[int]]]:
    return [(name, [place]) for place, names in enumerate(episode.supports, start=1) for name in names]


def _joint(episode: Episode, *, once: bool) -> list[tuple[str, list[int]]]:
    every = list(range(1, len(episode.classes) + 1))
    drawn = [name for names in episode.supports for name in names]
    return [(name, every) for name in (dict.fromkeys(drawn) if once else drawn)]


class _Maker:
    """Makes the examples of an episode, one after the other by the same chance."""

    def __init__(self, prompting: Prompting, benchmark: Benchmark, episode: Episode, names: Sequence[str]) -> None:
        self._asked, self._benchmark, self._episode, self._names = prompting, benchmark, episode, names
        self._random = np.random.default_rng(prompting.seed)
        self._chance = Chance.seeded(int(self._random.integers(1 << 31)))
        self._kinds = _PUBLISHED.get(prompting.labelling) or self._chance.python.choice(SUBSETS)

    def example(self, name: str, places: Iterable[int], title: str) -> Example:
        """The example of an image with the labels of some classes of the episode, by their places from 1."""
        own, void = truth_of(self._benchmark, name, self._episode.classes)
        shown = [place for place in places if (own == place).any()]
        if not shown:
            raise InputError("it does not show the class that the list says", where=name, remedy="Take masks and lists from the same release of the data")
        if self._asked.simulator == "published":
            return self._published(name, title, shown, absent=[place for place in places if place not in shown])
        kept = np.where(np.isin(own, shown), own, 0).astype(np.int16)
        drawn = Example(self._benchmark.source(name), title, label_map=np.where(void, np.int16(VOID), kept))
        table = ClassTable({place: self._names[place - 1] for place in places})
        labels = Labels(own.shape, np.where(void, np.int16(-1), kept))
        return prompted(drawn, labels, table, _BY_PERSON[self._asked.labelling], self._random, points=self._asked.points, negative=self._asked.negative)

    def _published(self, name: str, title: str, shown: Sequence[int], absent: Sequence[int]) -> Example:
        """The example with a prompt for each object, as Label Anything's code makes them; boxes of training are moved a little."""
        objects, size = objects_in(self._benchmark, name, self._episode.classes)
        noisy = self._asked.labelling == "mix"
        found = simulated(objects, shown, size, self._kinds, self._chance, noisy=noisy)
        return Example(
            self._benchmark.source(name),
            title,
            masks={place: mask for place, mask in found.masks.items()},  # noqa: C416 (keys of a wider type)
            boxes={place: boxes.tolist() for place, boxes in found.boxes.items()},
            points={place: {"positive": points.tolist(), "negative": []} for place, points in found.positive.items()},
            tags=dict.fromkeys(absent, False),
        )
