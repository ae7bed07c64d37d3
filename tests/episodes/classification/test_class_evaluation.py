"""Accuracy over episodes of classes: baselines, methods, journals, pages."""

import json

import numpy as np
import pytest

from likewise.episodes.classification.answering import HausdorffAnswers, MethodAnswers, PixelAnswers
from likewise.episodes.classification.benchmark import Asked, ClassBenchmark, Item, drawing, items_of
from likewise.episodes.classification.evaluation import ClassSetting, asked_episodes, evaluate_classes, published_sampler
from likewise.episodes.classification.outcome import ClassOutcome, accuracy_by_class, accuracy_of
from likewise.episodes.classification.running import ClassJob, page_of_classes, run_classes
from likewise.episodes.classification.sampling import prototypical_episodes
from likewise.episodes.evaluation import Contender
from likewise.errors import OutputError, UsageError
from likewise.methods.registry import method_class
from likewise.task.learning import Place, open_provider

SETTING = ClassSetting(way=3, shot=2, queries=4, episodes=5)


def bar(item):
    """A bar at an angle that the class, the place's tens, says, moved a little by its ones."""
    number, copy = divmod(item.place, 10)
    rows, columns = np.mgrid[:41, :37] - 18.0 + np.array([copy % 3 - 1, copy % 2]).reshape(2, 1, 1)
    return drawing(np.abs(np.cos(0.4 * number) * rows + np.sin(0.4 * number) * columns) < 3)


@pytest.fixture
def bars():
    """Seven classes of eight bars, all for testing."""
    return ClassBenchmark("bars", {"test": items_of({f"bar {number}": [10 * number + copy for copy in range(8)] for number in range(7)})}, bar)


class Always:
    """Answers the same class to everything, and counts how often it was asked."""

    def __init__(self, place):
        self.place, self.count = place, 0

    def __call__(self, asked):
        self.count += 1
        return np.full(sum(len(row) for row in asked.query), self.place)


def test_one_answer_for_all_is_right_for_one_class_of_three(bars):
    outcomes = evaluate_classes(bars, SETTING, Always(2), {})
    assert accuracy_of(outcomes, "sample") == pytest.approx((100 / 3, 0))
    assert [outcome.right for outcome in outcomes] == [[0, 0, 4]] * 5


@pytest.mark.parametrize("make", [lambda data: PixelAnswers(data, 28), HausdorffAnswers])
def test_baselines_find_bars_of_the_same_angle(bars, make):
    assert accuracy_of(evaluate_classes(bars, SETTING, make(bars), {}), "sample").mean > 95


def test_a_method_learns_from_each_support_alone(bars):
    method = method_class("prototypical")()
    answers = MethodAnswers(method, open_provider("random:vit-tiny-14", Place(engine="torch"), method), bars)
    episodes = [asked for asked, _ in asked_episodes(bars, SETTING)]
    first = [answers(asked).tolist() for asked in episodes]
    anew = MethodAnswers(method, answers.provider, bars)
    assert [anew(asked).tolist() for asked in reversed(episodes)] == first[::-1]
    assert np.mean([np.equal(found, np.repeat([0, 1, 2], 4)).mean() for found in first]) > 0.5
    asked = episodes[0]
    swapped = answers(Asked(asked.support[::-1], asked.query))
    assert (2 - swapped).tolist() == first[0]


def test_an_evaluation_that_was_stopped_goes_on_and_a_longer_one_follows(bars, tmp_path):
    whole = evaluate_classes(bars, SETTING, Always(2), {"by": "a"}, tmp_path / "whole")
    evaluate_classes(bars, ClassSetting(way=3, shot=2, queries=4, episodes=2), Always(2), {"by": "a"}, tmp_path / "parts")
    rest = Always(2)
    assert evaluate_classes(bars, SETTING, rest, {"by": "a"}, tmp_path / "parts") == whole
    assert rest.count == 3
    with pytest.raises(OutputError, match="by"):
        evaluate_classes(bars, SETTING, rest, {"by": "b"}, tmp_path / "parts")


def test_official_episodes_are_those_of_the_published_sampler(bars):
    assert [published_sampler(SETTING, name).episodes for name in ("omniglot", "cub")] == [1000, 5]
    setting = published_sampler(SETTING, "omniglot", 5)
    assert (setting.sampler, setting.seed, setting.rule) == ("prototypical", 1234, "sample")
    wanted = [episode.classes.tolist() for episode in prototypical_episodes(bars.part("test").draw(3, 2, 4), 5)]
    assert [classes for _, classes in asked_episodes(bars, setting)] == wanted
    other = published_sampler(SETTING, "caltech_mini")
    assert (other.sampler, other.rule) == ("closer-look", "population")


def test_fixed_episodes_are_taken_as_they_are(bars):
    fixed = (Asked([[Item(1)], [Item(11)], [Item(21)], [Item(31)]], [[Item(2)], [Item(12)], [Item(22)], [Item(33)]]),)
    outcomes = evaluate_classes(ClassBenchmark("runs", {}, bar, fixed), ClassSetting(), PixelAnswers(bars, 28), {})
    assert [outcome.queries for outcome in outcomes] == [[1, 1, 1, 1]]
    assert accuracy_of(outcomes, "sample").half == 100


@pytest.mark.parametrize("change", [{"way": 8}, {"queries": 7}, {"shot": 0}, {"queries": 0}, {"episodes": 0}])
def test_episodes_that_cannot_be_drawn_are_refused(bars, change):
    with pytest.raises(UsageError):
        asked_episodes(bars, ClassSetting(**{"way": 3, "shot": 2, "queries": 4, **change}))


def test_accuracy_of_a_class_counts_all_its_queries():
    outcomes = [ClassOutcome(0, [4, 2], [3, 3], [3, 1]), ClassOutcome(1, [2, 5], [3, 3], [2, 0])]
    assert accuracy_by_class(outcomes) == {2: 50, 4: 100, 5: 0}


def test_records_tell_all_and_pages_have_a_row_each(bars, tmp_path):
    job = ClassJob(bars, SETTING, tmp_path)
    contenders = [Contender(method=name, backbone="random:vit-tiny-14", place=Place(engine="torch")) for name in ("prototypical", "matching")]
    records = run_classes(job, contenders)
    assert [record["method"] for record in records] == ["prototypical", "matching"]
    assert all(record["protocol"] == "training-free" and len(record["classes"]) > 3 for record in records)
    assert json.loads((tmp_path / "prototypical" / "bars-test-3way-2shot-4queries" / "record.json").read_text())["accuracy"] == records[0]["accuracy"]
    page = page_of_classes(records)
    assert f"| matching | bars, test | 3 way, 2 shot, 4 queries | 5 | {records[1]['accuracy']:.2f} ± " in page


def test_a_method_without_classes_of_whole_pictures_is_refused_before_anything_is_drawn(bars):
    with pytest.raises(UsageError, match="'nearest' gives no class"):
        run_classes(ClassJob(bars, SETTING), [Contender(method="nearest", backbone="random:vit-tiny-14")])
