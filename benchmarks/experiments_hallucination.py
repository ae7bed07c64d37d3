"""Hallucination: the same episodes with and without further examples a class, and what they change, by three published ways.

hallucinator   trained together with prototypes of frozen features (recipes hallucinator-*), and of those of the frozen backbone
analogies      features of the base classifier; a regressor trained here on clusters of base classes
DAGAN          images of characters by the network of benchmarks/dagan_characters.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from class_cells import gain
from common import write_json
from experiments import CALTECH, CHECKPOINT, OMNIGLOT, Column, Experiment, Notes, Row, Runs, cosine_matching, head, line, opened, prototypes, trained
from frozen_hallucinator import FrozenFeatures, hallucinator_compared, kept_hallucinator
from hallucinating import (
    ANALOGIES,
    DAGAN,
    Analogous,
    DaganFeatures,
    FeatureAnswers,
    analogies_of,
    analogy_compared,
    class_features,
    nearest_compared,
    read_analogies,
    save_analogies,
)
from likewise.episodes.classification.answering import Answers
from likewise.episodes.classification.benchmark import ClassBenchmark
from likewise.methods.classifiers.analogies import RegressorTraining
from likewise.methods.classifiers.baseline_training import BaselineTraining
from likewise.methods.classifiers.episode_training import EmbeddingTraining
from likewise.training.classes import Compared, TrainedAnswers, trained_of
from likewise.weights import read_checkpoint
from likewise.weights.cache import sha256_of

MORE = 5  # examples a class
STEPS = {"omniglot": 12_000, "caltech": 3_000}  # of a regressor; published: 120,000
WORDS = {"omniglot": OMNIGLOT, "caltech": CALTECH}
TITLES = {"omniglot": "characters", "caltech": "photographs"}


def columns_of(data: str, shots: tuple[int, ...] = (1, 2, 5)) -> list[Column]:
    """Five ways with so many shots."""
    return [Column(f"{data}-5-{shot}", f"{shot} shot", WORDS[data], 5, shot) for shot in shots]


@dataclass(frozen=True)
class Pair:
    """Two rows of the same episodes, with and without further examples."""

    name: str
    title: str
    data: str


def pair_rows(pair: Pair, columns: list[Column], paths: list[Path], answers: Callable[[ClassBenchmark, int], Answers]) -> list[Row]:
    """The rows of a pair; answers: of so many further examples a class."""
    return [
        Row(f"{pair.name}-{word}", pair.title, partial(_asked, answers, count), columns, paths, {"more": count})
        for word, count in (("without", 0), ("with", MORE))
    ]


def _asked(answers: Callable[[ClassBenchmark, int], Answers], count: int, benchmark: ClassBenchmark, _: Column) -> Answers:
    return answers(benchmark, count)


def joint_rows(data: str, runs: Runs) -> list[Row]:
    """The hallucinator that was trained together with prototypes."""
    if (run := runs.find(f"hallucinator-{data}")) is None:
        return []
    asked = cache(lambda count: trained_of(run, generated=count))
    return pair_rows(PAIRS[f"hallucinator-{data}"], columns_of(data), [run / CHECKPOINT], lambda benchmark, count: TrainedAnswers(asked(count), benchmark))


def analogy_rows(data: str, runs: Runs) -> list[Row]:
    """Prototypes of, and the head of Baseline on, features with those by analogies."""
    if (run := runs.find(f"baseline-{data}")) is None:
        return []
    base, rows = trained(run), list[Row]()
    assert isinstance(base, BaselineTraining)
    for name, compared in (("prototypes", prototypes), ("head", base.answered)):
        rows += pair_rows(PAIRS[f"analogies-{name}-{data}"], columns_of(data), [run / CHECKPOINT], partial(analogous, data, run, base, compared))
    return rows


def analogous(data: str, run: Path, base: BaselineTraining, compared: Compared, benchmark: ClassBenchmark, count: int) -> Answers:
    """Answers by features of a base classifier, with so many examples by analogies."""
    return TrainedAnswers(base, benchmark, analogy_compared(kept_analogies(data, base, run), compared, count) if count else compared)


@cache
def kept_analogies(data: str, base: BaselineTraining, run: Path) -> Analogous:
    """The regressor of a base classifier, trained where it is not kept yet."""
    path = ANALOGIES / f"{data}-{sha256_of(run / CHECKPOINT)[:12]}.safetensors"
    if not path.is_file():
        benchmark = opened(WORDS[data].replace("omniglot-mini:", "omniglot-mini-turned:"))
        classifier = read_checkpoint(run / CHECKPOINT)[0]["classifier.weight"]
        training = RegressorTraining(steps=STEPS[data], drop_every=STEPS[data] // 3)
        found, told = analogies_of(classifier, class_features(base, benchmark, benchmark.part("train")), training)
        save_analogies(found, path)
        write_json(path.with_suffix(".json"), vars(told))
    return read_analogies(path)


def frozen(benchmark: ClassBenchmark, count: int, *, silent: bool = False) -> Answers:
    """Answers by prototypes of features of the frozen backbone, with so many hallucinated examples, by noise or without."""
    compared = hallucinator_compared(kept_hallucinator(), prototypes, count, silent=silent) if count else prototypes
    return FeatureAnswers(FrozenFeatures(benchmark), compared)


def dagan_rows(runs: Runs) -> list[Row]:
    """Pixels, and features of trained learners, with images of the DAGAN."""
    if not DAGAN.is_file():
        return []
    rows: list[Row] = []
    for name, run, compared in (("pixels", None, nearest_compared), ("prototypical", "prototypical", prototypes), ("matching", "matching", cosine_matching)):
        folder = None if run is None else runs.find(f"{run}-omniglot")
        if run is not None and folder is None:
            continue
        paths = [DAGAN, *([] if folder is None else [folder / CHECKPOINT])]
        rows += pair_rows(PAIRS[f"dagan-{name}"], columns_of("omniglot"), paths, partial(imagined, folder, compared))
    return rows


def imagined(folder: Path | None, compared: Compared, benchmark: ClassBenchmark, count: int) -> Answers:
    """Answers by features of a trained learner, or by pixels, with so many images of the DAGAN."""
    from dagan_characters import generator_at

    learner = None if folder is None else trained(folder)
    assert learner is None or isinstance(learner, EmbeddingTraining)
    return FeatureAnswers(DaganFeatures(learner, benchmark, generator_at(), count), compared)


PAIRS = {
    pair.name: pair
    for pair in (
        *(Pair(f"hallucinator-{data}", "jointly trained hallucinator, prototypes", data) for data in WORDS),
        Pair("hallucinator-frozen", "jointly trained hallucinator, prototypes, frozen backbone", "caltech"),
        Pair("hallucinator-silent", "the same with noise of zeros", "caltech"),
        *(Pair(f"analogies-prototypes-{data}", "analogies, prototypes of Baseline's features", data) for data in WORDS),
        *(Pair(f"analogies-head-{data}", "analogies, Baseline's head", data) for data in WORDS),
        Pair("dagan-pixels", "DAGAN, nearest by cosine of pixels", "omniglot"),
        Pair("dagan-prototypical", "DAGAN, prototypical", "omniglot"),
        Pair("dagan-matching", "DAGAN, matching", "omniglot"),
    )
}


def rows(runs: Runs) -> list[Row]:
    """All that there are runs for."""
    found = [row for data in WORDS for make in (joint_rows, analogy_rows) for row in make(data, runs)]
    for name, answers in (("hallucinator-frozen", frozen), ("hallucinator-silent", partial(frozen, silent=True))):
        found += pair_rows(PAIRS[name], columns_of("caltech"), [], answers)
    return found + dagan_rows(runs)


def lines(notes: Notes) -> list[str]:
    """A line for each pair: without, with, and the mean difference over the same episodes with its interval, for each number of shots."""
    found = head(["", *(title for column in columns_of("omniglot") for title in (f"{column.title}: without, with", "difference"))])
    for pair in PAIRS.values():
        cells: list[str | None] = []
        for column in columns_of(pair.data):
            without, with_them = (notes.named(f"{pair.name}-{word}", column) for word in ("without", "with"))
            if without is None or with_them is None:
                cells += [None, None]
                continue
            mean, half = gain(with_them, without)
            cells += [f"{without.accuracy:.1f}, {with_them.accuracy:.1f}", f"{mean:+.1f} ± {half:.1f}"]
        if any(cells):
            found.append(line([f"{TITLES[pair.data]}: {pair.title}", *cells]))
    return found


EXPERIMENT = Experiment("hallucination", rows, lines)
