"""Predictions are compared with the truth by name, pooled in counts."""

import numpy as np
import pytest

from likewise.data import ClassTable, Labels, Prediction, Target
from likewise.labelling.scoring import Scorer, ScoreTotals, shown_classes

OURS = ClassTable({1: "cat", 2: "dog", 5: "new"})


class Theirs:
    """A truth held in memory: what `likewise.formats.read_truth` gives, for labels that need no files."""

    def __init__(self, labels, classes, targets=None):
        self.classes, self.targets, self._labels = ClassTable(classes), targets or {}, labels

    def labels(self, name, size):
        return self._labels.get(name)


def prediction(labels, present, dense=None):
    labels = np.array(labels, np.uint8)
    return Prediction(OURS, {"depth": Target(unit="m")}, labels, present, dense or {}, 0.5)


def test_classes_are_matched_by_name_not_by_number_and_ignored_pixels_do_not_count():
    truth = Theirs({"a": Labels((1, 6), np.array([[7, 7, 1, 3, -1, 0]], np.int16))}, {1: "dog", 3: "horse", 7: "cat"})
    record = Scorer(truth, OURS, {}).compare("a", prediction([[1, 2, 2, 2, 1, 1]], {"cat": 0.9, "dog": 0.8, "new": 0.1}))
    assert record["overlap"] == {"cat": [1, 3], "dog": [1, 3]}
    assert record["presence"] == {"cat": [1, 1], "dog": [1, 1]}


def test_unlabelled_pixels_of_a_partial_truth_do_not_count():
    truth = Theirs({"a": Labels((1, 4), np.array([[1, 0, 0, 2]], np.int16), unlabelled="unknown")}, {1: "cat", 2: "horse"})
    record = Scorer(truth, OURS, {}).compare("a", prediction([[1, 1, 1, 1]], {"cat": 0.9}))
    assert record["overlap"] == {"cat": [1, 2]}


def test_tags_score_presence_alone():
    truth = Theirs({"a": Labels((1, 2), tags={1: False}), "b": Labels((1, 2), tags={1: True})}, {1: "cat"})
    totals, scorer = ScoreTotals(), Scorer(truth, OURS, {})
    for name in ("a", "b"):
        totals.add(scorer.compare(name, prediction([[0, 0]], {"cat": 0.2})))
    assert totals.scores() == {"images": 2, "miou": None, "presence_accuracy": 0.5, "classes": {"cat": {"iou": None, "presence_accuracy": 0.5}}, "dense": {}}


def test_dense_values_are_compared_at_the_size_of_the_truth():
    expected = np.array([[2.0, np.nan, 8.0]], np.float32)[:, :, None]
    truth = Theirs({"a": Labels((2, 6), dense={"depth": expected})}, {}, {"depth": Target(unit="m")})
    values = np.repeat(np.repeat(np.array([[1.0, 5.0, 8.0]], np.float32), 2, 0), 2, 1)
    scorer, totals = Scorer(truth, OURS, {"depth": Target(unit="m")}), ScoreTotals()
    totals.add(scorer.compare("a", prediction(np.zeros((2, 6)), {}, {"depth": values})))
    scores = totals.scores()
    assert scores["dense"]["depth"] == {"rmse": pytest.approx(0.5**0.5, abs=1e-6), "abs_rel": 0.25, "delta_1.25": 0.5}
    assert scores["miou"] is None


@pytest.mark.parametrize(("kind", "squared", "relative"), [("real", 36.0, 2.0), ("vector", 36.0, None), ("angle", (2 * np.pi - 6) ** 2, None)])
def test_directions_have_no_relative_error_and_angles_differ_by_the_shorter_way(kind, squared, relative):
    targets = {"x": Target(kind=kind)}
    truth = Theirs({"a": Labels((1, 1), dense={"x": np.full((1, 1, 1), 3.0, np.float32)})}, {}, targets)
    answer = Prediction(ClassTable({}), targets, np.zeros((1, 1), np.uint8), {}, {"x": np.full((1, 1), -3.0, np.float32)}, 0.5)
    totals = ScoreTotals()
    totals.add(Scorer(truth, ClassTable({}), targets).compare("a", answer))
    scores = totals.scores()["dense"]["x"]
    assert (scores["rmse"], scores["abs_rel"]) == (pytest.approx(squared**0.5, abs=1e-5), relative)


def test_an_image_that_the_truth_does_not_know_is_not_scored():
    assert Scorer(Theirs({}, {1: "cat"}), OURS, {}).compare("a", prediction([[1]], {})) is None
    assert ScoreTotals().scores() is None


def test_a_truth_without_common_names_is_empty():
    assert Scorer(Theirs({}, {1: "cow"}), OURS, {}).empty
    assert not Scorer(Theirs({}, {1: "new"}), OURS, {}).empty


def test_classes_shown_are_the_likely_ones_and_those_with_pixels_where_there_are_no_probabilities():
    assert shown_classes(prediction([[1, 0]], {"cat": 0.7, "dog": 0.5, "new": 0.4})) == {"cat": 0.7, "dog": 0.5}
    assert list(shown_classes(prediction([[5, 0]], {}))) == ["new"]
