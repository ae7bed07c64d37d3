"""Scores of outcomes: against the meters and brute force, by class, with intervals."""

import numpy as np
import pytest
import torch

from likewise.episodes.meters import FscsMeter, FssMeter
from likewise.episodes.outcome import Outcome, Scores, judge

CLASSES = [3, 4, 8]


def drawn(count, way, seed=0):
    """Outcomes of random maps and what they were made of."""
    random = np.random.default_rng(seed)
    found = []
    for index in range(count):
        shape = (int(random.integers(5, 9)), 11)
        labels, truth = random.integers(0, way + 1, shape), random.integers(0, way + 1, shape)
        void = random.random(shape) < 0.2
        truth[void] = 0
        classes = random.permutation(CLASSES)[:way].tolist()
        present = (random.random(way) < 0.5).tolist()
        found.append((judge(index, f"q{index}", classes, labels, present, truth, void), labels, truth, void))
    return found


def test_fscs_scores_are_those_of_the_meter():
    made, meter = drawn(17, 2), FscsMeter(CLASSES)
    for outcome, labels, truth, void in made:
        meter.update(*(torch.tensor(each) for each in (labels, truth, void, outcome.classes, outcome.present, outcome.truth)))
    expected, found = meter.compute(), Scores([one[0] for one in made], CLASSES, "fscs").values()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name


@pytest.mark.parametrize("unseen", [[], [11, 12]])
def test_fss_scores_are_those_of_the_meter_in_which_unseen_classes_count_nothing(unseen):
    made, meter = drawn(13, 1), FssMeter(CLASSES + unseen)
    for outcome, labels, truth, void in made:
        meter.update(torch.tensor(labels), torch.tensor(truth), outcome.classes[0], torch.tensor(void))
    found = Scores([one[0] for one in made], CLASSES + unseen, "fss").values()
    assert found["miou_official"] == pytest.approx(meter.compute()["miou"])
    assert found["miou"] == pytest.approx(meter.compute()["miou"] * (3 + len(unseen)) / 3)
    assert found["fb_iou"] == pytest.approx(meter.compute()["fb_iou"])


def test_presence_is_that_of_the_truth_and_must_be_right_for_every_class():
    labels, truth = np.zeros((4, 6), int), np.zeros((4, 6), int)
    truth[0, 0] = 2
    void = np.zeros((4, 6), bool)
    right = judge(0, "a", [3, 8], labels, [False, True], truth, void)
    half = judge(1, "b", [3, 8], labels, [True, True], truth, void)
    assert right.truth == [False, True]
    assert Scores([right, half, right, right], CLASSES, "fscs").values()["exact_ratio"] == 75


def test_a_class_that_nothing_shows_counts_in_the_official_mean_alone():
    full = np.ones((3, 5), int)
    one = judge(0, "a", [4], full, [True], full, np.zeros((3, 5), bool))
    found = Scores([one], CLASSES, "fscs").values()
    assert found["miou"] == 100
    assert found["miou_official"] == pytest.approx(100 / 3)


def test_void_costs_in_the_official_mean_alone():
    labels, truth, void = np.ones((2, 10), int), np.zeros((2, 10), int), np.zeros((2, 10), bool)
    truth[:, :5], void[:, 5:] = 1, True
    found = Scores([judge(0, "a", [4], labels, [True], truth, void)], [4], "fscs").values()
    assert (found["miou"], found["miou_official"]) == (100, 50)


def test_scores_do_not_depend_on_the_order_of_the_episodes():
    outcomes = [one[0] for one in drawn(12, 2)]
    assert Scores(outcomes, CLASSES, "fscs").values() == Scores(outcomes[::-1], CLASSES, "fscs").values()


def test_intervals_hold_the_value_repeat_and_shrink_with_more_episodes():
    few, many = ([one[0] for one in drawn(count, 2, seed=1)] for count in (12, 300))
    narrow = Scores(many, CLASSES, "fscs")
    for name, (low, high) in narrow.intervals().items():
        assert low < narrow.values()[name] < high
        wide = Scores(few, CLASSES, "fscs").intervals()[name]
        assert high - low < 0.5 * (wide[1] - wide[0])
    assert narrow.intervals() == narrow.intervals()


def test_the_interval_of_the_exact_ratio_is_that_of_a_proportion():
    base = drawn(1, 1)[0][0]
    outcomes = [Outcome(index, "q", base.classes, [index % 4 != 0], [True], base.counts, base.official) for index in range(400)]
    low, high = Scores(outcomes, CLASSES, "fscs").intervals(resamples=2000)["exact_ratio"]
    spread = 1.96 * 100 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((75 - spread, 75 + spread), abs=0.6)


def test_a_method_that_is_a_little_better_everywhere_is_better_in_every_draw():
    base = [one[0] for one in drawn(60, 1)]
    better = [Outcome(one.index, one.query, one.classes, one.truth, one.truth, one.counts, one.official) for one in base]
    worse = [Outcome(one.index, one.query, one.classes, [not p for p in one.truth] if one.index < 6 else one.truth, *tail(one)) for one in base]
    lead = Scores(better, CLASSES, "fscs").drawn_anew()["exact_ratio"] - Scores(worse, CLASSES, "fscs").drawn_anew()["exact_ratio"]
    assert lead.min() >= 0
    assert lead.mean() == pytest.approx(10, abs=0.5)


def tail(one):
    return one.truth, one.counts, one.official


def test_by_class_says_the_iou_and_in_how_many_episodes_it_was_asked_for_and_shown():
    made = drawn(20, 2)
    found = Scores([one[0] for one in made], CLASSES, "fscs").by_class()
    for number in CLASSES:
        inter = union = 0
        asked = [one for one in made if number in one[0].classes]
        for outcome, labels, truth, void in asked:
            place = outcome.classes.index(number) + 1
            inter += int(((labels == place) & (truth == place) & ~void).sum())
            union += int((((labels == place) | (truth == place)) & ~void).sum())
        assert found[number]["iou"] == pytest.approx(100 * inter / union)
        shown = sum(outcome.truth[outcome.classes.index(number)] for outcome, *_ in asked)
        assert (found[number]["episodes"], found[number]["shown"]) == (len(asked), shown)


def test_an_outcome_survives_its_line():
    outcome = drawn(1, 2)[0][0]
    assert Outcome.of_json(outcome.to_json()) == outcome
