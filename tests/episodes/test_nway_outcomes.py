"""Scores of N-way outcomes: one table over all episodes, both forms, reruns, journals."""

import numpy as np
import pytest

from likewise.episodes.journal import open_journal
from likewise.episodes.nway import NwayOutcome, NwayScores, judge_nway
from likewise.errors import OutputError
from likewise.functional.nway_metrics import benchmark_labels, confusion, nway_scores, official_scores

CLASSES = [4, 9, 11, 30]


def answered(seed, ways=2, size=(6, 9), canvas=(8, 9)):
    """An outcome, with its answer and truth among the classes of the fold, as meant and as the published code renames them."""
    random = np.random.default_rng(seed)
    classes = sorted(random.choice(CLASSES, ways, replace=False).tolist())
    labels, truth = random.integers(0, ways + 1, (2, *size))
    void = random.random(size) < 0.1
    outcome = judge_nway(seed, f"q{seed}", classes, labels, truth, void, [size, canvas])
    places = [1 + CLASSES.index(number) for number in classes]
    maps = {form: [np.where(void, -100, benchmark_labels(each, places, official=form)) for each in (labels, truth)] for form in (False, True)}
    return outcome, maps


def test_scores_are_those_of_one_table_over_all_episodes():
    pairs = [answered(seed) for seed in range(7)]
    tables = {form: sum(confusion(np.where(maps[form][1] == -100, 0, maps[form][0]), maps[form][1], 5) for _, maps in pairs) for form in (False, True)}
    tables[True][0, 0] += 7 * (8 * 9 - 6 * 9)  # what lies outside of the query
    found = NwayScores([outcome for outcome, _ in pairs], CLASSES).values()
    wanted, official = nway_scores(tables[False]), official_scores(tables[True])
    assert {name: found[name] for name in ("miou", "bmiou", "fb_iou")} == pytest.approx({name: 100 * wanted[name] for name in ("miou", "bmiou", "fb_iou")})
    assert {name: found[f"{name}_official"] for name in official} == pytest.approx({name: 100 * value for name, value in official.items()})


def test_reruns_have_scores_of_their_own_of_which_the_mean_is_taken():
    outcomes = [answered(seed)[0] for seed in range(6)]
    apart = [NwayScores(outcomes[run::3], CLASSES).values()["miou"] for run in range(3)]
    both = NwayScores(outcomes, CLASSES, runs=3)
    assert both.values()["miou"] == pytest.approx(np.mean(apart))
    assert both.values()["miou"] != pytest.approx(NwayScores(outcomes, CLASSES).values()["miou"])
    low, high = both.intervals(200)["miou"]
    assert low < both.values()["miou"] < high


def test_the_same_episodes_drawn_anew_are_the_same_for_two_methods():
    scores = NwayScores([answered(seed)[0] for seed in range(5)], CLASSES)
    assert scores.drawn_anew(50)["miou"].tolist() == NwayScores([answered(seed)[0] for seed in range(5)], CLASSES).drawn_anew(50)["miou"].tolist()


def test_by_class_says_how_often_a_class_was_asked_for_and_shown():
    outcomes = [NwayOutcome(0, "a", [4, 30], [[5, 0, 1], [0, 4, 0], [0, 0, 0]], 0), NwayOutcome(1, "b", [9, 30], [[7, 1, 0], [0, 0, 0], [2, 0, 6]], 3)]
    found = NwayScores(outcomes, CLASSES).by_class()
    assert {number: (facts["episodes"], facts["shown"]) for number, facts in found.items()} == {4: (1, 1), 9: (1, 0), 11: (0, 0), 30: (2, 1)}
    assert found[30]["iou"] == pytest.approx(100 * 6 / 9)
    assert found[4]["iou"] == 100


def test_void_counts_nowhere_and_the_largest_image_says_what_lies_outside():
    labels, truth = np.array([[0, 1, 1]]), np.array([[0, 1, 0]])
    found = judge_nway(0, "q", [9], labels, truth, np.array([[False, False, True]]), [(1, 3), (4, 2)])
    assert (found.table, found.outside) == ([[1, 0], [0, 1]], 9)


def test_outcomes_are_kept_in_a_journal_and_lines_of_another_frame_are_refused(tmp_path):
    outcomes = [answered(seed)[0] for seed in range(3)]
    with open_journal(tmp_path / "a", {"frame": "nway"}, NwayOutcome) as journal:
        for outcome in outcomes:
            journal.add(outcome)
    with open_journal(tmp_path / "a", {"frame": "nway"}, NwayOutcome) as journal:
        assert journal.outcomes == outcomes
    with pytest.raises(OutputError, match="it was edited"), open_journal(tmp_path / "a", {"frame": "nway"}):
        pass
