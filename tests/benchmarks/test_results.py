"""Rows read back: which variant of a baseline is shown, and what is asked of a row about presence."""

import json

import pytest


def row(miou, side, **more):
    return {"miou": miou, "side": side, **more}


@pytest.fixture
def rows(bench, tmp_path):
    """Results on disk: three draws of ours, of which two chose 896, and a baseline that gains there."""
    table = {
        "analogy-default": {0: row(60, 896), 1: row(50, 448), 2: row(70, 896)},
        "ridge-default": {0: row(20, 448), 1: row(30, 448), 2: row(40, 448)},
        "ridge-default-896": {0: row(44, 896), 2: row(48, 896)},
        "nearest-default": {0: row(39, 448), 1: row(38, 448), 2: row(37, 448)},
    }
    for variant, draws in table.items():
        for draw, record in draws.items():
            path = tmp_path / variant / "1" / "cracks" / f"{draw}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))
    return bench("results").load(tmp_path)


def test_a_baseline_at_our_working_size_follows_the_choice_of_each_draw(rows):
    assert {draw: row["miou"] for draw, row in rows.at_our_side("ridge-default", "1", "cracks").items()} == {0: 44, 1: 30, 2: 48}


def test_the_better_working_size_of_a_baseline_is_shown_and_the_best_baseline_is_named(bench, rows):
    assert bench("results").sides(rows.best_variant("ridge-default", "1", "cracks")) == "448/896"
    name, draws = rows.best_baseline("1", "cracks")
    assert (name, bench("results").mean(draws)) == ("ridge-default", pytest.approx(122 / 3))
    assert rows.baselines == ["nearest-default", "ridge-default"]


def test_a_size_that_lacks_draws_is_not_preferred(bench, rows, tmp_path):
    (tmp_path / "ridge-default-896" / "1" / "cracks" / "2.json").unlink()
    bench("results").load.cache_clear()
    again = bench("results").load(tmp_path)
    assert bench("results").mean(again.best_variant("ridge-default", "1", "cracks")) == 30


def test_classes_asked_for_are_those_of_the_support_with_and_without_negatives(bench, monkeypatch):
    truths = {"a": frozenset({1, 2}), "b": frozenset({1}), "void": None, "q": frozenset({2}), "r": frozenset()}
    for module in ("answers", "absence"):
        monkeypatch.setattr(bench(module), "shown", lambda _, name: truths[name])
    said = {"1": 0.9, "2": 0.4, "3": 0.0}
    record = {
        **{"set": "s", "shots": "1", "support": ["a", "b", "void"], "elsewhere": {"t/x": said}},
        "answers": {name: {"present": said, "confidence": 0.5} for name in ("q", "r", "void")},
    }
    found = {(q.number, q.image): (q.true, q.own, q.negatives) for q in bench("absence").asked(record)}
    assert found == {
        (1, "s/q"): (False, True, False),
        (1, "s/r"): (False, True, False),
        (1, "t/x"): (False, False, False),
        (2, "s/q"): (True, True, True),
        (2, "s/r"): (False, True, True),
        (2, "t/x"): (False, False, True),
    }


def test_the_picture_shown_is_the_median_of_the_queries_that_show_something(bench, monkeypatch):
    monkeypatch.setattr(bench("pictures"), "shown", lambda _, name: frozenset() if name == "empty" else frozenset({1}))
    counts = {"good": [9, 10], "empty": [0, 10], "fair": [5, 10], "bad": [1, 10], "poor": [3, 10]}
    record = {"set": "s", "per_query": {name: {"1": pair} for name, pair in counts.items()}}
    assert bench("pictures").median_query(record) == ("poor", 0.3, 4)


def test_the_recovered_share_pools_gains_over_rows(bench):
    rows = [{"chosen": 50, "alone": {"tokens": 40, "pixel": 60}}, {"chosen": 30, "alone": {"tokens": 30, "pixel": 20}}]
    assert bench("hindsight").recovered(rows) == pytest.approx((10 + 10) / (20 + 10))
    assert bench("hindsight").recovered(rows, "tokens") == pytest.approx(10 / 20)
    assert bench("hindsight").recovered(rows[1:], "tokens") is None


def test_shares_of_the_work_are_counted_from_one(bench):
    assert bench("accuracy").shard("2/3") == (2, 3)
    for wrong in ("0/2", "3/2", "2"):
        with pytest.raises(ValueError):
            bench("accuracy").shard(wrong)


def test_others_run_at_the_working_size_that_ours_chose_unless_it_is_their_own(bench):
    accuracy = bench("accuracy")
    ridge = accuracy.Variant("ridge", "default")
    assert [v.folder for v in accuracy.at_other_sides({"side": 896}, [ridge])] == ["ridge-default-896"]
    assert list(accuracy.at_other_sides({"side": 448}, [ridge])) == []
    assert list(accuracy.at_other_sides(None, [ridge])) == []
