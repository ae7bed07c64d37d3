"""Everything a run needs, opened and checked before the first step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from likewise import weights
from likewise.backbones import FeatureProvider, folder_of_environment, load_backbone
from likewise.backbones.features import FeatureSpec
from likewise.episodes.benchmark import Benchmark
from likewise.episodes.classification.opening import open_classes
from likewise.episodes.dense import open_pictures
from likewise.episodes.evaluation import check_takes, feature_bytes
from likewise.episodes.opening import open_benchmark
from likewise.errors import UsageError, WeightsError
from likewise.methods.classifiers.episode_training import ClassTrainable
from likewise.methods.classifiers.training_table import class_trainable
from likewise.methods.classifiers.zero_shot_training import TABLE
from likewise.methods.registry import method_class
from likewise.methods.trainable import DenseTrainable, PromptTrainable, Trainable
from likewise.training.classes import ClassDraws, ClassValidation, opened_classes
from likewise.training.dense import DenseDraws, DenseFeatures, DenseValidation
from likewise.training.prompted import PromptedDraws, PromptedFeatures
from likewise.training.recipe import BackboneSection, Recipe
from likewise.training.sources import Draws, EpisodeFeatures, names_of
from likewise.training.validation import Validation, validation_episodes
from likewise.training.watching import Watcher
from likewise.training.zero_shot import VectorValidation, opened_vectors

AnyDraws = Draws | DenseDraws | PromptedDraws


@dataclass(frozen=True)
class Prepared:
    """What is trained, on which episodes, and how it is validated: every so many episodes, by one of the scores.

    provider: of features, None where the method reads pictures alone; episode: the tensors of an episode by its index, on a device.
    """

    trainable: Trainable[Any]
    provider: FeatureProvider | None
    draws: AnyDraws | ClassDraws
    episode: Callable[[int, torch.device], Any]
    validation: Validation | DenseValidation | ClassValidation | VectorValidation | None
    every: int
    metric: str

    @property
    def backbone(self) -> dict[str, str]:
        """Name and SHA-256 of the frozen network; {} where there is none."""
        return {} if self.provider is None else {"name": self.provider.backbone.name, "sha256": self.provider.backbone.sha256}


def prepare(recipe: Recipe, device: torch.device, watcher: Watcher) -> Prepared:
    """All that a recipe names; the backbone runs on `device`. Raises UsageError, InputError or WeightsError for what is not there or does not fit."""
    if recipe.classes is not None:
        return _of_pictures(recipe) if recipe.classes.vectors is None else _of_vectors(recipe, device)
    provider = _provider(recipe.backbone, device)
    start = None if recipe.method.start is None else _start(Path(recipe.method.start), recipe.method.name, provider)
    trainable = method_class(recipe.method.name).trainable(provider.backbone.config, recipe.method.settings, seed=recipe.seed, start=start)
    _check_kind(recipe, trainable)
    benchmarks = {name: open_pictures(text) if recipe.dense else open_benchmark(text) for name, text in recipe.data.items()}
    features = EpisodeFeatures(provider, trainable.wants())
    made = _dense(recipe, benchmarks, features) if recipe.dense else _of_classes(recipe, benchmarks, features, trainable)
    draws, episode, validation = made
    for benchmark, names in draws.names():
        benchmark.check(names)
    if recipe.backbone.features == "cache":
        _tell(watcher, recipe, draws, provider, trainable.wants())
    return Prepared(trainable, provider, draws, episode, validation, *_asked(recipe))


def _of_pictures(recipe: Recipe) -> Prepared:
    """What trains a learner of classes of whole pictures, whose encoder is its own."""
    if recipe.method.name in TABLE:
        raise UsageError(f"{recipe.method.name} learns from class vectors", where="classes.vectors", remedy="Name a file of them, see docs/formats/vectors.md")
    benchmarks = {name: open_classes(text) for name, text in recipe.data.items()}
    n_classes = len(benchmarks[recipe.source[0].data].part(recipe.source[0].part).names)
    start = None if recipe.method.start is None else weights.read_checkpoint(Path(recipe.method.start))[0]
    trainable = class_trainable(recipe.method.name, recipe.method.settings, n_classes, seed=recipe.seed, start=start)
    _check_way(recipe, trainable)
    opened = opened_classes(recipe, benchmarks, trainable)
    return Prepared(trainable, None, opened.draws, opened.feed, opened.validation, *_asked(recipe))


def _of_vectors(recipe: Recipe, device: torch.device) -> Prepared:
    """What trains a network of class vectors, on features of a frozen backbone."""
    benchmarks = {name: open_classes(text) for name, text in recipe.data.items()}
    provider = _provider(recipe.backbone, device)
    opened = opened_vectors(recipe, benchmarks, provider)
    return Prepared(opened.trainable, provider, opened.draws, opened.feed, opened.validation, *_asked(recipe))


def _check_way(recipe: Recipe, trainable: ClassTrainable[Any]) -> None:
    """UsageError where a learner is asked for another number of classes than it has."""
    assert recipe.classes is not None
    asked = {"classes.way": recipe.classes.way, "validation.way": recipe.validation.way if recipe.validation else recipe.classes.way}
    for where, way in asked.items():
        if trainable.n_way is not None and way != trainable.n_way:
            raise UsageError(f"it is for {trainable.n_way} classes, not for {way}", where=where, remedy="Set method.way to the same number")


def _asked(recipe: Recipe) -> tuple[int, str]:
    """After how many episodes is validated, and by which score."""
    return (1, "") if recipe.validation is None else (recipe.validation.every, recipe.validation.metric)


Benchmarks = Mapping[str, Benchmark]
Episode = Callable[[int, torch.device], Any]


def _check_kind(recipe: Recipe, trainable: Trainable[Any]) -> None:
    """UsageError for a method whose episodes are not those of the recipe."""
    if isinstance(trainable, DenseTrainable) != (recipe.dense is not None):
        told, remedy = ("learns no dense targets", "Leave [dense] out") if recipe.dense else ("learns dense targets alone", "Say which in [dense]")
        raise UsageError(f"the method {recipe.method.name!r} {told}", where="dense", remedy=remedy)
    if isinstance(trainable, PromptTrainable) != (recipe.prompts is not None):
        told, remedy = ("learns from masks alone", "Leave [prompts] out") if recipe.prompts else ("learns from prompts", "Add a section [prompts]")
        raise UsageError(f"the method {recipe.method.name!r} {told}", where="prompts", remedy=remedy)


def _of_classes(recipe: Recipe, benchmarks: Benchmarks, features: EpisodeFeatures, trainable: Trainable[Any]) -> tuple[AnyDraws, Episode, Validation | None]:
    """Episodes of one class, or prompted ones, and the validation by classes that are not trained."""
    draws, episode = _drawn(recipe, benchmarks, features)
    validation = None
    if recipe.validation is not None:
        method = trainable.method()
        if method is None:
            raise UsageError("this part of the method answers nothing by itself", where="validation", remedy="Leave the section out")
        check_takes(method, recipe.validation.support)
        benchmark = benchmarks[recipe.validation.data]
        episodes = validation_episodes(recipe, benchmark)
        benchmark.check(names_of(episodes.images))
        validation = Validation(benchmark, episodes, recipe.validation.support, features.provider)
    return draws, episode, validation


def _drawn(recipe: Recipe, benchmarks: Benchmarks, features: EpisodeFeatures) -> tuple[AnyDraws, Episode]:
    """The episodes of a recipe that are not dense, by name and as tensors."""
    if recipe.prompts is None:
        plain = Draws(recipe, benchmarks)
        return plain, lambda index, device: features(plain[index], device)
    draws, made = PromptedDraws(recipe, benchmarks), PromptedFeatures(features, recipe.prompts)
    return draws, lambda index, device: made(draws[index], device)


def _dense(recipe: Recipe, benchmarks: Benchmarks, features: EpisodeFeatures) -> tuple[AnyDraws, Episode, DenseValidation | None]:
    """Dense episodes, and the validation by targets that are not trained."""
    draws, made, validation = DenseDraws(recipe, benchmarks), DenseFeatures(features), None
    if recipe.validation is not None:
        benchmark = benchmarks[recipe.validation.data]
        validation = DenseValidation(recipe, recipe.validation, benchmark, made)
        benchmark.check(names_of(validation.images))
    return draws, lambda index, device: made(draws[index], device), validation


def _start(path: Path, method: str, provider: FeatureProvider) -> dict[str, Tensor]:
    """The tensors to begin from; WeightsError where they are of another method or backbone."""
    tensors, _ = weights.read_checkpoint(path)
    card = weights.read_card(path)
    if card is not None and card.method != method:
        raise WeightsError(f"it is a checkpoint of the method {card.method!r}", where=str(path), remedy="Begin from one of the method that is trained")
    if card is not None and card.backbone.get("sha256", provider.backbone.sha256) != provider.backbone.sha256:
        raise WeightsError(
            f"it was trained on the backbone {card.backbone.get('name')!r}, not on {provider.backbone.name!r}", where=str(path), remedy="Take that backbone"
        )
    return tensors


def cache_of(section: BackboneSection) -> Path | None:
    """The folder of cached features: the recipe's, that of LIKEWISE_FEATURES, or the program's own; None where none are kept."""
    if section.features == "compute":
        return None
    named = Path(section.folder) if section.folder else folder_of_environment()
    return named or weights.cache_folder() / "features"


def _provider(section: BackboneSection, device: torch.device) -> FeatureProvider:
    return FeatureProvider(
        load_backbone(weights.resolve(section.name)),
        engine=section.engine,
        device=device,
        precision=section.precision,
        cache=weights.cache_folder() / "openvino",
        features=cache_of(section),
    )


def _tell(watcher: Watcher, recipe: Recipe, draws: AnyDraws, provider: FeatureProvider, specs: Sequence[FeatureSpec]) -> None:
    """Say how much the cached features will take, before any is made."""
    folder = cache_of(recipe.backbone)
    assert folder is not None
    count = len({(id(benchmark), name) for benchmark, names in draws.names() for name in names})
    folder.mkdir(parents=True, exist_ok=True)
    need, free = count * sum(feature_bytes(spec, provider.serving(spec).backbone.config) for spec in specs), shutil.disk_usage(folder).free
    watcher.say(f"features of {count:,} images are kept in {folder}: {need / 1e9:.1f} GB in all, {free / 1e9:.1f} GB are free")
    if need > free:
        watcher.say("warning: that may be too much, unless they are there already; backbone.features=compute keeps none")
