"""Predictions are compared with the truth by name, pooled in counts."""

import json

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


def scored(targets, truth_values, values, size=(2, 6), keypoints=()):
    """The scores of one image with dense maps, all of one size."""
    known = {name: np.asarray(each, np.float32).reshape(*size, -1) for name, each in truth_values.items()}
    truth = Theirs({"a": Labels(size, dense=known)}, {}, targets)
    answer = Prediction(ClassTable({}), targets, np.zeros(size, np.uint8), {}, {name: np.asarray(each, np.float32) for name, each in values.items()}, 0.5)
    totals = ScoreTotals()
    totals.add(Scorer(truth, ClassTable({}), targets, keypoints).compare("a", answer))
    return totals.scores()["dense"]


def test_directions_are_scored_in_degrees_whatever_their_length():
    truth = np.zeros((2, 6, 3))
    truth[..., 2] = -1
    answer = np.zeros((2, 6, 3))
    answer[0, :, 2], answer[1, :, 0] = -5, 1
    scores = scored({"n": Target(kind="unit_vector")}, {"n": truth}, {"n": answer})["n"]
    assert (scores["mean"], scores["within_11.25"]) == (pytest.approx(45, abs=1e-4), 0.5)
    assert scores["abs_rel"] is None


def test_angles_in_degrees_and_radians_are_scored_alike():
    for unit, turn in (("deg", 360.0), ("", 2 * np.pi)):
        truth, answer = np.full((2, 6), 0.01 * turn), np.full((2, 6), 0.98 * turn)
        scores = scored({"a": Target(kind="angle", unit=unit)}, {"a": truth}, {"a": answer})["a"]
        assert scores["mean"] == pytest.approx(0.03 * 360, abs=0.01)
        assert scores["rmse"] == pytest.approx(0.03 * turn, abs=1e-4)


def test_densities_are_scored_by_their_count_where_the_truth_is_known():
    truth = np.full((2, 6), 0.5)
    truth[0, 0] = np.nan
    scores = scored({"d": Target(kind="density")}, {"d": truth}, {"d": np.full((2, 6), 1.0)})["d"]
    assert (scores["count_error"], scores["count_relative"], scores["abs_rel"]) == (5.5, 1.0, None)


def test_soft_masks_have_an_absolute_error_and_no_relative_one():
    scores = scored({"s": Target(kind="soft_mask")}, {"s": np.full((2, 6), 0.001)}, {"s": np.full((2, 6), 0.501)})["s"]
    assert scores == {"rmse": pytest.approx(0.5), "abs_rel": None, "mae": pytest.approx(0.5)}


def test_keypoints_are_scored_by_distance_size_and_visibility():
    names = ("nose", "tail", "ear", "unknown")
    truth = Theirs({"a": Labels((40, 60), keypoints={"nose": (10.0, 10.0), "tail": (40.0, 10.0), "ear": None})}, {})
    truth.keypoints = names
    answers = {"nose": (13.0, 14.0, 0.9), "tail": (40.0, 11.0, 0.2), "ear": (1.0, 1.0, 0.8), "unknown": (0.0, 0.0, 0.5), "more": (0.0, 0.0, 0.5)}
    answer = Prediction(ClassTable({}), {}, np.zeros((40, 60), np.uint8), {}, {}, 0.5, keypoints=answers)
    scorer, totals = Scorer(truth, ClassTable({}), {}, tuple(answers)), ScoreTotals()
    assert not scorer.empty
    totals.add(json.loads(json.dumps(scorer.compare("a", answer))))
    scores = totals.scores()["keypoints"]
    assert set(scores) == {"nose", "tail", "ear", "all"}
    assert (scores["nose"]["error"], scores["tail"]["error"], scores["all"]["error"], scores["ear"]["error"]) == (5, 1, 3, None)
    assert (scores["all"]["pck_0.05"], scores["all"]["pck_0.2"]) == (0.5, 1.0)
    assert (scores["nose"]["visible_right"], scores["tail"]["visible_right"], scores["ear"]["visible_right"]) == (1, 0, 0)
