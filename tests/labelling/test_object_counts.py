"""Objects compared with the truth, image by image, through the lines of a run."""

import json

import numpy as np

from likewise.data import ClassTable, Instance, Labels, Prediction
from likewise.labelling.scoring import Scorer, ScoreTotals

SIZE = (4, 12)


class Truth:
    """Labels held in memory by the name of their image."""

    def __init__(self, labels):
        self.classes, self.targets, self._labels = ClassTable({2: "cell", 3: "other"}), {}, labels

    def labels(self, name, size):
        return self._labels.get(name)


def bar(start, stop):
    return Instance(np.ones((4, stop - start), bool), x=start)


def truth_of(*bars, apart=True):
    drawn = np.zeros(SIZE, np.int16)
    for one in bars:
        one.mark(drawn, 2)
    return Labels(SIZE, label_map=drawn, instances={2: bars} if bars and apart else {})


def answer_of(*bars, scores=()):
    numbers = np.zeros(SIZE, np.int32)
    for number, one in enumerate(bars, start=1):
        one.mark(numbers, number)
    labels = (numbers > 0).astype(np.uint8)
    return Prediction(ClassTable({1: "cell"}), {}, labels, {"cell": 1.0}, {}, 0.5, instances=numbers, object_scores=dict(enumerate(scores, start=1)))


def scores_of(truths, answers):
    scorer, totals = Scorer(Truth(truths), ClassTable({1: "cell"}), {}), ScoreTotals()
    for name, answer in answers.items():
        totals.add(json.loads(json.dumps(scorer.compare(name, answer))))
    return totals.scores()


def test_precision_and_counts_are_those_worked_out_by_hand():
    truths = {"a": truth_of(bar(0, 3), bar(4, 8)), "b": truth_of(bar(0, 6)), "c": truth_of()}
    answers = {
        "a": answer_of(bar(0, 3), bar(4, 8), scores=(0.9, 0.6)),  # both right
        "b": answer_of(bar(0, 2), bar(3, 5), scores=(0.8, 0.5)),  # neither overlaps a half
        "c": answer_of(bar(9, 11), scores=(0.4,)),
    }
    found = scores_of(truths, answers)
    # right, wrong, right, wrong, wrong by score: precision 1 up to a third of the three, then 2/3 up to two thirds: 34 and 33 of 101 recalls
    assert found["objects"]["ap50"] == round((34 * 1 + 33 * 2 / 3) / 101, 6)
    assert found["objects_of"]["cell"] == {"ap50": found["objects"]["ap50"], "count_error": 1.0, "count_relative": round(2 / 3, 6), "objects": 3}


def test_a_truth_that_does_not_tell_objects_apart_says_nothing_of_them():
    assert "objects" not in scores_of({"a": truth_of(bar(0, 3), apart=False)}, {"a": answer_of(bar(0, 3), scores=(0.9,))})


def test_pixels_to_be_ignored_belong_to_no_object():
    truth = truth_of(bar(0, 3))
    truth.label_map[:, 3:] = -1
    found = scores_of({"a": truth}, {"a": answer_of(bar(0, 12), scores=(0.9,))})
    assert found["objects"]["ap50"] == 1
