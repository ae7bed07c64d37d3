"""A method through the episodes of a benchmark: learn from each support, answer its query, count.

Everything that can be wrong with lists, images and options is found before the backbone runs.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import likewise
from likewise.backbones import FeatureProvider, FeatureSpec
from likewise.backbones.vit import VitConfig
from likewise.data import LabelKind
from likewise.data.images import image_size
from likewise.episodes.answering import answered, labels_in, present_in
from likewise.episodes.augmented import SHARE, SHARES, Augment, Augmenting
from likewise.episodes.benchmark import Benchmark, Episodes, Frame, Part, episodes_of
from likewise.episodes.fss import FssBenchmark
from likewise.episodes.journal import Answered, open_journal
from likewise.episodes.nway import NwayOutcome, judge_nway
from likewise.episodes.object_sizes import parsed_range
from likewise.episodes.outcome import Outcome, judge
from likewise.episodes.sampling import Episode
from likewise.episodes.support import KINDS, Labelling, Pairing, Prompting, Simulator
from likewise.episodes.truth import truth_of
from likewise.episodes.views import ViewsBenchmark
from likewise.errors import InputError, UsageError
from likewise.methods.base import Method, Preset
from likewise.methods.prompts import PATCH_KINDS
from likewise.task.equipping import equip
from likewise.task.learning import Place, open_provider
from likewise.weights import Card

Told = Callable[[int, int], None]  # episodes done, of how many
FOLD = "{fold}"  # in the name of a checkpoint: the number of the fold that is evaluated


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The episodes to answer; see `episodes_of` and `support_of`.

    pairing: None for that of the frame, N-way "joint" (official: "drawn"), else "pairs"; prompts: who makes labels of masks.
    empty: False where the query shows the first class always; augment: whether supports are used for other classes that they show, of the
    episode ("partial") or of the fold ("full"); both of "fscs" alone; object_size: "LOW-HIGH", see `object_sizes`. Raises UsageError for what does not fit.
    """

    part: Part = "test"
    fold: int = 0
    way: int = 1
    shot: int | tuple[int, ...] = 1
    episodes: int = 1000
    seed: int = 0
    frame: Frame = "fscs"
    labelling: Labelling = "mask"
    points: int = 1
    negative: int = 0
    prompts: Simulator = "person"
    pairing: Pairing | None = None
    official: bool = False
    empty: bool = True
    augment: Augment = "none"
    object_size: str = ""

    def __post_init__(self) -> None:
        if self.object_size:
            parsed_range(self.object_size)
            if self.frame == "nway":
                raise UsageError("the frame nway has objects of all sizes", where="object-size", remedy="Use the frame fscs or fss")
        if self.frame != "fscs" and not (self.empty and self.augment == "none"):
            raise UsageError(f"the frame {self.frame} has neither augmented episodes nor empty masks", where="frame", remedy="Use the frame fscs")
        if self.augment != "none" and self.paired != "pairs":
            raise UsageError("augmented episodes show one class of an image at a time", where="pairing", remedy="Use the pairing pairs, or leave --augment out")
        if self.frame == "nway" and self.paired == "pairs":
            raise UsageError("N-way episodes show all classes of an image", where="pairing", remedy="Use the pairing joint, or the frame fscs")
        self.prompting(0)  # checks it

    @property
    def paired(self) -> Pairing:
        """The pairing that is asked for, else that of the frame."""
        if self.frame != "nway":
            return self.pairing or "pairs"
        return self.pairing or ("drawn" if self.official else "joint")

    def facts(self) -> dict[str, Any]:
        """All of it as plain values; the newer switches only where they are used, so that older results are known again."""
        newer = {"empty": True, "augment": "none", "object_size": ""}
        return {name: value for name, value in asdict(self).items() if name not in newer or value != newer[name]} | {"pairing": self.paired}

    def prompting(self, index: int) -> Prompting:
        """How the support of an episode is labelled."""
        return Prompting(self.labelling, self.points, self.negative, self.prompts, (self.seed, index))


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What answers them: a method with its settings, backbone, checkpoint and place, as in `likewise.learn`.

    checkpoint: with "{fold}" in its name one for each fold; label: what it is called in results, "" for the name of its method.
    """

    method: str
    backbone: str = "auto"
    checkpoint: str | Path | None = None
    preset: Preset = "default"
    settings: Mapping[str, Any] = field(default_factory=dict)
    place: Place = field(default_factory=Place)
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.method)

    def of_fold(self, fold: int) -> Contender:
        """The same with the checkpoint of a fold; itself where one is for all."""
        return replace(self, checkpoint=str(self.checkpoint).replace(FOLD, str(fold))) if FOLD in str(self.checkpoint) else self


@dataclass(frozen=True)
class Evaluated:
    """The outcomes of a fold, and what they depend on; runs: of how many reruns they are, dealt out in turn."""

    outcomes: Sequence[Answered]
    classes: Sequence[int]
    fingerprint: Mapping[str, Any]
    runs: int = 1


class Runner:
    """A contender made ready: its weights are opened once for all folds and settings.

    features: a folder that keeps features between episodes and runs; None for the environment variable LIKEWISE_FEATURES, else
    none; most: bytes above which nothing is kept there, None for no limit; fold: whose checkpoint is opened, where each has its own.
    Raises UsageError for unknown names, WeightsError where weights are missing.
    """

    def __init__(self, contender: Contender, features: Path | None = None, most: int | None = None, fold: int = 0) -> None:
        self._given, self._limits = contender, (features, most)
        self.contender = contender.of_fold(fold)
        self._of_folds = {fold: self}
        self._ready = equip(contender.method, contender.preset, contender.settings, self.contender.checkpoint, contender.backbone)
        self.method = self._ready.method
        self._features, self._most = features, most

    def of_fold(self, fold: int) -> Runner:
        """What answers the episodes of a fold: the same for all, unless each has a checkpoint of its own. WeightsError where that is missing."""
        if self._given is self.contender:
            return self
        if fold not in self._of_folds:
            self._of_folds[fold] = Runner(self._given, *self._limits, fold)
        return self._of_folds[fold]

    def evaluate(self, benchmark: Benchmark, setting: Setting, folder: Path | None = None, told: Told | None = None) -> Evaluated:
        """The outcomes of all episodes of a setting; those that `folder` holds of the same are taken from there.

        Raises UsageError for a method that does not take such a support, InputError for images, masks and lists that do not fit
        (before anything is learned), OutputError for a folder of something else.
        """
        check_takes(self.method, setting.labelling)
        episodes = drawn(benchmark, setting)
        self._limit_features(len(names_in(episodes.plain)))
        fingerprint = self._fingerprint(benchmark, setting, episodes)
        with open_journal(folder, fingerprint, NwayOutcome if setting.frame == "nway" else Outcome) as journal:
            for index in range(len(journal.outcomes), len(episodes)):
                if told is not None:
                    told(index, len(episodes))
                journal.add(self._answer(benchmark, setting, index, episodes[index]))
            if told is not None:
                told(len(episodes), len(episodes))
            return Evaluated(journal.outcomes[: len(episodes)], list(episodes.images.by_class), fingerprint, len(episodes.runs))

    @property
    def weights(self) -> dict[str, dict[str, str]]:
        """Name and SHA-256 of the weights by role."""
        return self._provider.weights(self.method.wants()) | {role: dict(facts) for role, facts in self._ready.weights.items()}

    @property
    def card(self) -> Card | None:
        """What the checkpoint says of itself; None without a checkpoint or a card."""
        return self._ready.card

    @property
    def place(self) -> dict[str, str]:
        """Engine, precision, device and instruction set."""
        wishes = self.method.wants()
        return self._provider.describe(wishes[0]) if wishes else {}

    @cached_property
    def _provider(self) -> FeatureProvider:
        provider = open_provider(self._ready.backbone, self.contender.place, self.method, self._features)
        self._ready.check(provider.backbone)
        self.method = self.method.mounted(provider.backbone)
        return provider

    def _limit_features(self, images: int) -> None:
        """Before the weights are opened for answers: keep no features where they would be too large."""
        if self._features is None or self._most is None:
            return
        size = images * sum(feature_bytes(spec, self._provider.serving(spec).backbone.config) for spec in self.method.wants())
        if size > self._most:
            warnings.warn(f"features of {images:,} images would take {size / 1e9:.0f} GB and are not kept (--cache FOLDER keeps them)", stacklevel=2)
            self._features = None
            del self._provider

    def _fingerprint(self, benchmark: Benchmark, setting: Setting, episodes: Episodes) -> dict[str, Any]:
        """All that an outcome depends on, but how many episodes there are: a longer run may follow a shorter one."""
        lists = hashlib.sha256(repr([(number, list(names)) for number, names in episodes.images.by_class.items()]).encode())
        lists.update(repr(list(episodes.images.queries)).encode())
        chosen = {name: value for name, value in setting.facts().items() if name != "episodes"}
        return {
            "benchmark": benchmark.name,
            "lists": lists.hexdigest(),
            **chosen,
            "method": self.method.name,
            "settings": asdict(self.method.settings),
            "weights": self.weights,
            **self.place,
            "likewise": likewise.__version__,
        }

    def _answer(self, benchmark: Benchmark, setting: Setting, index: int, episode: Episode) -> Answered:
        """The outcome of an episode."""
        try:
            provider = self._provider  # first: it mounts the method
            prediction = answered(self.method, provider, benchmark, episode, setting.prompting(index), setting.paired)
        except InputError as error:
            raise InputError(error.what, where=f"episode {index}: {error.where}", remedy=error.remedy) from error
        truth, void = truth_of(benchmark, episode.query, episode.classes)
        if truth.shape != prediction.size:
            raise InputError(f"the mask is {truth.shape[::-1]}, its image {prediction.size[::-1]}", where=episode.query, remedy="Give it the size of the image")
        labels = labels_in(prediction, setting.frame)
        if setting.frame == "nway":
            sizes = [image_size(benchmark.source(name)) for name in sorted(names_in([episode]))]
            return judge_nway(index, episode.query, episode.classes, labels, truth, void, sizes)
        return judge(index, episode.query, episode.classes, labels, present_in(prediction), truth, void)


def check_takes(method: Method, labelling: Labelling) -> None:
    """UsageError where a method cannot learn from such a support."""
    reachable = set(method.takes) | (set(PATCH_KINDS) if LabelKind.MASK in method.takes else set())
    if not KINDS[labelling] <= reachable:
        raise UsageError(f"the method {method.name!r} does not take a {labelling} as support", where="support", remedy="Choose another method or support")


def drawn(benchmark: Benchmark, setting: Setting) -> Episodes:
    """The episodes of a setting, every image of theirs checked to be there and to fit its mask."""
    episodes = episodes_of(
        benchmark,
        setting.part,
        setting.fold,
        setting.way,
        setting.shot,
        setting.episodes,
        setting.seed,
        setting.frame,
        official=setting.official,
        empty=setting.empty,
        augmenting=augmenting_of(benchmark, setting),
        object_size=setting.object_size,
    )
    benchmark.check(sorted(names_in(episodes.plain)))
    return episodes


def augmenting_of(benchmark: Benchmark, setting: Setting) -> Augmenting | None:
    """How the episodes of a setting are augmented, None for not at all; UsageError for a benchmark whose pictures have one class each."""
    if setting.augment == "none":
        return None
    if isinstance(benchmark, FssBenchmark | ViewsBenchmark):
        raise UsageError(f"a picture of {benchmark.name} has one class alone, no other to use it for", where="augment", remedy="Leave --augment out")
    return Augmenting(setting.augment, SHARES.get(benchmark.name, SHARE), benchmark.labels)


def names_in(episodes: Iterable[Episode]) -> set[str]:
    """The images of episodes, queries and supports."""
    return {name for episode in episodes for name in (episode.query, *(each for listed in episode.supports for each in listed))}


def feature_bytes(spec: FeatureSpec, config: VitConfig) -> int:
    """About how much the kept features of an image take: half precision, a square of the working size.

    >>> from likewise.backbones.vit import VitConfig
    >>> feature_bytes(FeatureSpec(layers=(), side=400, squash=True, qk=True), VitConfig(width=384, depth=12, heads=6, patch=8, grid=28))
    26890752
    """
    tokens = config.prefix + (spec.side // config.patch) ** 2
    return 2 * tokens * config.width * ((len(spec.layers) or config.depth) + 2 * spec.qk)
