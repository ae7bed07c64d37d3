"""The benches on confidence and the fit of what is shipped, on made-up tables."""

import numpy as np
import pytest


def row(confidence, ious):
    """A row of accuracy.py whose queries have one class each."""
    names = [f"q{place}" for place in range(len(confidence))]
    answers = {name: {"confidence": sure} for name, sure in zip(names, confidence, strict=True)}
    return {"answers": answers, "per_query": {name: {"1": [iou, 1]} for name, iou in zip(names, ious, strict=True)}}


def test_the_share_gained_is_none_of_a_random_and_all_of_a_perfect_order(bench):
    told = bench("riskcoverage").told
    errors = np.array([0.1, 0.4, 0.5, 0.9, 0.2])
    figures = bench("riskcoverage").figures
    assert told(figures(1 - errors, errors))["gained"] == pytest.approx(1)
    assert told(figures(np.full(5, 0.3), errors))["gained"] == pytest.approx(0)
    assert told(figures(errors, errors))["gained"] < 0
    assert told(figures(errors, np.full(5, 0.2)))["gained"] is None


def test_whether_a_perfect_order_halves_the_error_is_told_beside_ours(bench):
    errors = np.array([0.0, 0.1, 0.9, 0.8])
    found = bench("riskcoverage").told(bench("riskcoverage").figures(errors, errors))
    assert found["could_halve"]
    assert not found["halved"]


def test_the_pooled_table_says_what_a_confidence_stands_for(bench):
    found = bench("riskcoverage").pooled([row([0.81, 0.83, 0.22], [0.6, 1.0, 0.5]), row([0.25], [0.1])])
    assert found["queries"] == 4
    assert [(part["count"], part["measured"]) for part in found["reliability"]] == [(2, pytest.approx(0.3)), (2, pytest.approx(0.8))]
    assert found["calibration_error"] == pytest.approx((2 * abs(0.235 - 0.3) + 2 * abs(0.82 - 0.8)) / 4)


@pytest.fixture
def table():
    """Evidence of 4000 questions of two sets of unlike size, in which presence hangs on the lead and IoU on soft Dice."""
    rng = np.random.default_rng(5)
    count = 4000
    columns = {name: rng.normal(size=count) for name in ("lead", "found", "familiar", "margin")}
    columns |= {"dice": rng.uniform(0.05, 0.95, count), "own": (rng.random(count) < 0.8).astype(float), "claimed": np.ones(count)}
    columns["true"] = ((rng.random(count) < 1 / (1 + np.exp(-3 * columns["lead"]))) & (columns["own"] > 0)).astype(float)
    columns["iou"] = columns["dice"] * columns["true"]
    return columns, np.array(["small"] * 700 + ["large"] * 3300)


def test_the_fit_finds_what_presence_and_quality_hang_on(bench, table):
    columns, sets = table
    full, curves = bench("calibrators").fitted(columns, sets, np.ones(4000, bool))
    assert curves["presence"]["lead"] > 10 * max(abs(curves["presence"][name]) for name in ("found", "familiar", "margin"))
    assert curves["quality"]["dice"] > 0.3
    right = bench("calibrators").found(full)
    assert np.corrcoef(full["quality"][right], full["iou"][right])[0, 1] > 0.5
    assert full["quality"][right].mean() == pytest.approx(full["iou"][right].mean(), abs=0.05)


def test_sets_and_outcomes_weigh_the_same_whatever_their_size(bench, table):
    columns, sets = table
    own, true = columns["own"] > 0, columns["true"] > 0
    weight = bench("calibrators").even([(own & true, 1.0), (~own, 0.5)], sets)
    assert weight.mean() == pytest.approx(1)
    for name in ("small", "large"):
        assert weight[own & true & (sets == name)].sum() == pytest.approx(2 * weight[~own & (sets == name)].sum())
    assert weight[sets == "small"].sum() == pytest.approx(weight[sets == "large"].sum())


def test_what_is_noted_is_the_evidence_and_every_class_that_was_seen_passes(bench):
    torch = pytest.importorskip("torch")
    calibrators = bench("calibrators")
    with calibrators.noted() as last:
        assert calibrators.presence.said("what was shown", torch.zeros(3, 2), torch.tensor([True, False, True])).tolist() == [1, 0, 1]
    assert last["evidence"] == "what was shown"
    assert calibrators.presence.said.__module__ == "likewise.methods.analogy.presence"
