"""The arena's rows read back, who stands in it, and the arithmetic of the script for another program."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from likewise.data import OutputKind
from likewise.methods import registry

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "peers" / "convpaint.py"


def counts(**found):
    """{query: {"1": [intersection, union]}}."""
    return {name: {"1": list(pair)} for name, pair in found.items()}


@pytest.fixture
def arena(bench, tmp_path):
    """Two draws of ours and one of `ridge` on cracks, depth of both."""
    rows = {
        ("analogy", "1", "cracks", 0): {"miou": 50.0, "per_query": counts(a=(5, 10), b=(5, 10))},
        ("analogy", "1", "cracks", 1): {"miou": 90.0, "per_query": counts(a=(9, 10), b=(9, 10))},
        ("ridge", "1", "cracks", 0): {"miou": 75.0, "per_query": counts(a=(10, 10), b=(5, 10))},
        ("analogy", "6", "rgbd", 0): {"abs_rel": 0.2, "delta_1.25": 0.8},
        ("ridge", "6", "rgbd", 0): {"abs_rel": 0.3, "delta_1.25": 0.6},
    }
    for (name, shots, where, draw), row in rows.items():
        path = tmp_path / name / shots / where / f"{draw}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**row, "weights": {}, "code": "0"}))
    return bench("arena_rows").load(tmp_path)


def test_differences_are_of_the_draws_that_both_have(arena):
    pair = ("cracks", "1")
    assert arena.score("analogy", pair) == 70
    assert arena.spread("analogy", pair) == pytest.approx(np.std([50, 90], ddof=1))
    assert arena.spread("ridge", pair) is None
    assert arena.margin("ridge", pair) == -25
    drawn, cells = arena.behind("ridge", arena.pairs)
    assert cells == 1  # depth has no counts by image
    assert drawn[0] == pytest.approx(-25)
    assert set(np.round(drawn[1:], 6)) == {0.0, -25.0, -50.0}  # of two images drawn twice: only b, one of each, only a
    assert arena.margin("nearest", pair) is None


def test_depth_is_the_percentage_of_pixels_that_are_near(arena):
    assert arena.margin("ridge", ("rgbd", "6")) == pytest.approx(20)
    assert arena.over("ridge", ("rgbd", "6")) is None


def test_where_another_is_ahead_comes_with_the_interval(bench, arena):
    page, contenders = bench("arena_page"), bench("contenders")
    present = [one for one in contenders.LISTED if one.name in arena.rows]
    (*_, line) = page.ahead(arena, present)
    assert line == "| cracks | 1 | `ridge` | 25.0 [+0.0, +50.0] | 1 |"
    assert "1 (50 %)" in next(line for line in page.standing(arena, present) if line.startswith("| `ridge`"))


def test_scores_of_fewer_draws_are_not_called_the_best_and_short_tables_are_of_first_draws(bench, arena):
    page, contenders = bench("arena_page"), bench("contenders")
    present = [one for one in contenders.LISTED if one.name in arena.rows]
    lines = {line.split("|")[2].strip(): line for line in page.table(arena, present, {one.name: {} for one in present}) if line.startswith("| cracks")}
    assert "**70.0**" in lines["`analogy`"]
    assert " 75.0 [" in lines["`ridge`"]
    first = arena.first()
    assert (first.score("analogy", ("cracks", "1")), first.score("ridge", ("cracks", "1"))) == (50, 75)


def test_a_cell_that_only_another_program_was_measured_in_has_no_column_of_its_own_and_stops_nothing(bench, arena):
    page, contenders = bench("arena_page"), bench("contenders")
    row = {"miou": 1.0, "per_query": counts(a=(1, 100)), "weights": {}, "code": "1.2"}
    rows = {**arena.rows, "napari-convpaint-x": {("cracks", "1"): {0: row}, ("crops", "1"): {0: row}}}
    shown = [*(one for one in contenders.LISTED if one.name in rows), contenders.Program("napari-convpaint-x")]
    lines = list(page.table(type(arena)(rows), shown, {one.name: {} for one in shown}))
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["cracks"] * 3 + ["rgbd"] * 2


def test_a_method_of_another_package_stands_in_the_arena_and_one_that_answers_with_classes_does_not(bench, monkeypatch):
    entries = {"theirs": "tests_of_arena:Theirs", "whole": "tests_of_arena:Whole"}
    listed = {name: registry.Listed(name, place, "", "") for name, place in entries.items()}
    contenders = bench("contenders")
    masks, whole = registry.method_class("ridge"), registry.method_class("prototypical")
    monkeypatch.setattr(contenders, "available", lambda: listed)
    monkeypatch.setattr(contenders, "method_class", lambda name: masks if name == "theirs" else whole)
    assert [one.name for one in contenders.contenders()][len(contenders.LISTED) :] == ["theirs"]


def test_only_methods_that_learn_what_a_set_is_labelled_with_take_part(bench):
    contenders, cell = bench("contenders"), bench("common").Cell
    by_name = {one.name: one for one in contenders.LISTED}
    assert by_name["insid3"].takes_part(cell("cracks", "1", 0, (), ()))
    assert not by_name["matcher"].takes_part(cell("cracks", "1", 0, (), ()))
    assert by_name["matcher"].takes_part(cell("objects", "1", 0, (), ()))


def test_every_method_that_answers_with_masks_or_values_is_listed_and_names_differ(bench):
    names = [one.name for one in bench("contenders").LISTED]
    assert len(set(names)) == len(names)
    answering = {name for name in registry.available() if registry.method_class(name).gives & {OutputKind.MASKS, OutputKind.DENSE}}
    assert {one.variant.method for one in bench("contenders").LISTED} == answering


@pytest.fixture(scope="module")
def script():
    """The script for napari-convpaint, which imports nothing of this package."""
    spec = importlib.util.spec_from_file_location("peer_convpaint", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_strokes_are_evenly_many_of_each_class_and_never_of_what_is_to_be_ignored(script):
    truth = np.zeros((20, 30), np.uint8)
    truth[:10, :10], truth[15:, :] = 3, 255
    told = script.strokes(truth, 40)
    assert {value: int((told == value).sum()) for value in (1, 4)} == {1: 40, 4: 40}
    assert not told[truth == 255].any()
    np.testing.assert_array_equal(truth[told > 0], told[told > 0] - 1)


def test_its_score_is_pooled_over_queries_and_leaves_out_what_is_ignored(script):
    truth = np.array([[1, 1, 0, 255], [2, 0, 0, 255]], np.uint8)
    found = np.array([[1, 0, 1, 1], [0, 0, 0, 2]], np.uint8)
    counted = {"a": script.compared(found, truth, [1, 2, 3]), "b": script.compared(truth, truth, [1, 2, 3])}
    assert counted == {"a": {"1": [1, 3], "2": [0, 1]}, "b": {"1": [2, 2], "2": [1, 1]}}
    assert script.miou(counted, [1, 2, 3]) == pytest.approx(100 * (3 / 5 + 1 / 2) / 2)
