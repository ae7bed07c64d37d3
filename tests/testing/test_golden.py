import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InputError
from likewise.testing import golden
from likewise.testing.golden import kinds, seeded
from likewise.testing.golden.case import Folders, open_case
from likewise.testing.golden.compare import deviation, tolerance_of

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/golden is not there")


@pytest.fixture(scope="module")
def reference():
    """The generator that made the golden files."""
    specification = importlib.util.spec_from_file_location("reference_seeded", SHARED / "seeded.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SHAPES = [(), (1,), (7,), (3, 5), (4, 3, 2, 2), (0, 3)]
NAMES = ["net.weight", "net.bias", "net.gamma", "bn.running_var", "bn.running_mean", "bn.num_batches_tracked"]


@needs_shared
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_seeded_weights_are_those_of_the_golden_files(reference, name, shape):
    for seed, gain in ((0, 1.0), (41, 1.7)):
        found, expected = seeded.weight(name, shape, seed, gain), reference.weight(name, shape, seed, gain)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@needs_shared
@pytest.mark.parametrize("size", [(1, 1), (5, 9), (64, 47), (121, 200)])
def test_seeded_images_are_those_of_the_golden_files(reference, size):
    for seed in range(4):
        np.testing.assert_array_equal(seeded.image("scene", *size, seed), reference.image("scene", *size, seed))


@needs_shared
def test_seeded_ranges_are_those_of_the_golden_files(reference):
    np.testing.assert_array_equal(seeded.uniform("x", (3, 4), 9, -2.5, 7.0), reference.uniform("x", (3, 4), 9, -2.5, 7.0))


@needs_shared
@pytest.mark.parametrize("path", sorted(SHARED.glob("cst_posembed*.npz")), ids=lambda path: path.stem)
def test_position_embeddings_agree_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail


def test_overrides_multiply_in_every_pattern_that_fits_the_full_name():
    layout = [("a.pos_embed", (1, 2, 3)), ("b.weight", (2, 2)), ("bn.num_batches_tracked", ())]
    plain = seeded.state_dict(layout, 1)
    changed = seeded.state_dict(layout, 1, overrides={"*pos_embed": 20.0, "a.*": 0.5, "pos_embed": 9.0})
    np.testing.assert_allclose(changed["a.pos_embed"], 10 * plain["a.pos_embed"], rtol=1e-6)
    np.testing.assert_array_equal(changed["b.weight"], plain["b.weight"])
    assert changed["bn.num_batches_tracked"].dtype == np.int64


# tolerances


def test_an_outputs_own_tolerance_counts_before_the_star():
    stated = {"*": {"atol": 1.0, "rtol": 0}, "out.a": {"atol": 0.5, "rtol": 0}}
    floats, numbers = np.zeros(3, np.float32), np.zeros(3, np.int64)
    assert tolerance_of("a", floats, stated)["atol"] == 0.5
    assert tolerance_of("b", floats, stated)["atol"] == 1.0
    assert tolerance_of("b", numbers, stated) == {"atol": 0.0, "rtol": 0.0}
    assert tolerance_of("b", floats, {}) == {"atol": 1e-4, "rtol": 1e-4}


def test_a_tolerance_with_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match="percent"):
        tolerance_of("a", np.zeros(2), {"out.a": {"atol": 1, "percent": 3}})


@given(
    expected=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9),
    shifts=st.lists(st.floats(-2, 2), min_size=9, max_size=9),
    atol=st.floats(1e-3, 1),
    rtol=st.floats(0, 0.1),
)
def test_the_deviation_passes_exactly_what_numpys_rule_passes(expected, shifts, atol, rtol):
    wanted = np.array(expected)
    found = wanted + np.array(shifts[: len(expected)])
    ratio = deviation(found, wanted, {"atol": atol, "rtol": rtol})
    slack = np.abs(found - wanted) - (atol + rtol * np.abs(wanted))
    if np.all(slack < -1e-9):
        assert ratio <= 1
    if np.any(slack > 1e-9):
        assert ratio > 1


def test_zero_tolerance_means_equal():
    assert deviation(np.array([1, 2]), np.array([1, 2]), {"atol": 0, "rtol": 0}) == 0
    assert deviation(np.array([1, 3]), np.array([1, 2]), {"atol": 0, "rtol": 0}) == math.inf


@pytest.mark.parametrize(
    ("found", "expected", "passes"),
    [
        ([np.nan, 1], [np.nan, 1], True),
        ([0.0, 1], [np.nan, 1], False),
        ([np.nan, 1], [0.0, 1], False),
        ([-np.inf, 1], [-np.inf, 1], True),
        ([np.inf, 1], [-np.inf, 1], False),
        ([-1e30, 1], [-np.inf, 1], False),
        ([-np.inf, 1], [-5.0, 1], False),
    ],
)
def test_nan_and_infinity_must_match_exactly(found, expected, passes):
    assert (deviation(np.array(found), np.array(expected), {"atol": 10, "rtol": 1}) <= 1) is passes


def test_another_shape_never_passes():
    assert deviation(np.zeros((2, 1)), np.zeros((1, 2)), {"atol": 1, "rtol": 0}) == math.inf
    assert deviation(np.zeros(1), np.zeros(()), {"atol": 1, "rtol": 0}) == math.inf


def test_labels_may_differ_in_the_stated_share():
    expected = np.zeros((10, 20), np.uint8)
    found = expected.copy()
    found[0, :2] = 1  # 1 % of the pixels
    assert deviation(found, expected, {"mismatch": 0.01}) == pytest.approx(1)
    found[0, 2] = 1
    assert deviation(found, expected, {"mismatch": 0.01}) > 1
    assert deviation(found, expected, {"mismatch": 0.0}) == math.inf


def test_a_fraction_lets_the_rest_deviate():
    expected = np.zeros(200)
    found = expected.copy()
    found[:2] = 5.0
    assert deviation(found, expected, {"atol": 0.1, "rtol": 0, "fraction": 0.99}) == pytest.approx(1)
    found[2] = 5.0
    assert deviation(found, expected, {"atol": 0.1, "rtol": 0, "fraction": 0.99}) > 1


def test_texts_are_compared_as_json():
    expected = np.array(json.dumps({"a": [1, 2]}))
    assert deviation({"a": (1, 2)}, expected, {}) == 0
    assert deviation({"a": [2, 1]}, expected, {}) == math.inf


def test_tensors_are_compared_like_arrays():
    import torch

    assert deviation(torch.ones(2, 3, requires_grad=True), np.ones((2, 3), np.float32), {"atol": 0, "rtol": 0}) == 0


# files and runs


def write(folder, name, kind="cst_posembed", stated=None, config=None, **arrays):
    """A golden file of position embeddings, whose expected outputs are those of the identity."""
    table = seeded.uniform("pos_embed", (1, 13, 5), 3)
    meta = {
        "kind": kind,
        "seed": 3,
        "config": config or {"grid": 2, "rows": 3, "columns": 4},
        "inputs": {"pos_embed": {"uniform": "pos_embed", "shape": [1, 5, 5]}},
        "tolerance": stated or {},
    }
    arrays = arrays or {"out.official": table, "out.plain": table}
    np.savez(folder / f"{name}.npz", meta=np.array(json.dumps(meta)), **arrays)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "golden"
    made.mkdir()
    return made


IDENTITY = {"grid": 2, "rows": 2, "columns": 2}


def identity():
    table = seeded.uniform("pos_embed", (1, 5, 5), 3)
    return {"out.official": table, "out.plain": table}


def test_a_file_that_agrees_passes_and_the_run_exits_0(folder):
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())
    results = list(golden.verify(folder))
    assert [result.status for result in results] == ["pass"]
    assert golden.summary(results)["exit"] == 0


def test_a_file_that_does_not_agree_fails_and_the_run_exits_1(folder):
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())
    wrong = identity()
    wrong["out.plain"] = wrong["out.plain"] + 1
    write(folder, "cst_posembed_wrong", config=IDENTITY, **wrong)
    results = list(golden.verify(folder))
    assert [(result.status, result.worst) for result in results] == [("pass", "official"), ("FAIL", "plain")]
    assert results[1].deviation > 1
    assert golden.summary(results)["exit"] == 1


def test_an_output_that_the_runner_does_not_give_fails(folder):
    write(folder, "cst_posembed_more", config=IDENTITY, **identity(), **{"out.third": np.zeros(2)})
    (result,) = golden.verify(folder)
    assert result.status == "FAIL"
    assert "third" in result.detail


def test_an_unknown_kind_is_named_and_does_not_fail_the_others(folder):
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())
    write(folder, "later_kind", kind="later", **{"out.x": np.zeros(1)})
    results = list(golden.verify(folder))
    assert [result.status for result in results] == ["pass", "unknown"]
    found = golden.summary(results)
    assert (found["unknown_kinds"], found["exit"]) == ({"later": 1}, 0)


def test_a_run_in_which_nothing_ran_exits_1(folder):
    assert golden.summary(list(golden.verify(folder)))["exit"] == 1
    write(folder, "later_kind", kind="later", **{"out.x": np.zeros(1)})
    assert golden.summary(list(golden.verify(folder)))["exit"] == 1


def test_a_prefix_chooses_files(folder):
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())
    write(folder, "la_later", kind="later", **{"out.x": np.zeros(1)})
    assert [result.name for result in golden.verify(folder, only="cst_pos")] == ["cst_posembed_same"]


def test_a_runner_that_breaks_fails_its_file_only(folder):
    write(folder, "cst_posembed_broken", config={"grid": 7, "rows": 1, "columns": 1}, **identity())
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())
    results = list(golden.verify(folder))
    assert [result.status for result in results] == ["FAIL", "pass"]
    assert "ValueError" in results[0].detail


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_golden_file_fails(folder, content):
    (folder / "cst_posembed_x.npz").write_bytes(content)
    (result,) = golden.verify(folder)
    assert result.status == "FAIL"
    assert "no golden file" in result.detail


def test_a_pickle_in_a_golden_file_is_not_opened(folder):
    np.savez(folder / "bad.npz", meta=np.array({"kind": "x"}, dtype=object))
    (result,) = golden.verify(folder)
    assert result.status == "FAIL"


def test_coco_instances_beside_golden_files_are_material_not_a_case(folder):
    (folder / "la_coco.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    (folder / "episodes_of_none.json").write_text(json.dumps({"what": "episodes"}))
    assert [result.status for result in golden.verify(folder)] == ["unknown", "companion"]


def runners(monkeypatch, function):
    monkeypatch.setattr("likewise.testing.golden.runner.runner_of", lambda kind, **_: function)


def test_a_skip_needs_a_reason(folder, monkeypatch):
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())

    def skip(reason):
        def run(case):
            raise kinds.Skip(reason)

        return run

    runners(monkeypatch, skip("needs ../data"))
    (result,) = golden.verify(folder)
    assert (result.status, result.detail) == ("skipped", "needs ../data")
    assert golden.summary([result])["exit"] == 1  # nothing ran
    runners(monkeypatch, skip(""))
    (result,) = golden.verify(folder)
    assert result.status == "FAIL"


def test_a_kind_may_judge_by_a_rule_of_its_own(folder, monkeypatch):
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())
    runners(monkeypatch, lambda case: {"official": golden.Judged(0.3), "plain": golden.Judged(0.7)})
    (result,) = golden.verify(folder)
    assert (result.status, result.deviation, result.worst) == ("pass", 0.7, "plain")
    runners(monkeypatch, lambda case: {"official": golden.Judged(math.nan), "plain": golden.Judged(0.7)})
    (result,) = golden.verify(folder)
    assert result.status == "FAIL"


def test_a_runner_that_gives_what_no_file_expects_fails(folder, monkeypatch):
    write(folder, "cst_posembed_same", config=IDENTITY, **identity())
    runners(monkeypatch, lambda case: {**{name[4:]: array for name, array in identity().items()}, "extra": np.zeros(1)})
    (result,) = golden.verify(folder)
    assert result.status == "FAIL"
    assert "extra" in result.detail


def test_layouts_are_found_beside_the_folder_and_where_they_are_named(folder, tmp_path):
    beside = tmp_path / "spec" / "state_dicts"
    beside.mkdir(parents=True)
    (beside / "net.json").write_text(json.dumps([["a.weight", [3, 2]]]))
    named = tmp_path / "elsewhere"
    named.mkdir()
    (named / "net.json").write_text(json.dumps({"layout": [["b.weight", [2, 5]]]}))
    meta = {"kind": "k", "seed": 2, "gain": None, "config": {}, "layout_file": "spec/state_dicts/net.json", "overrides": {"*": 2.0}}
    np.savez(folder / "k.npz", meta=np.array(json.dumps(meta)))
    assert {name: array.shape for name, array in open_case(folder / "k.npz", Folders.around(folder)).weights().items()} == {"a.weight": (3, 2)}
    assert open_case(folder / "k.npz", Folders.around(folder, named)).layout() == [("b.weight", [2, 5])]


def test_a_layout_that_is_nowhere_is_an_error_that_names_it(folder):
    meta = {"kind": "k", "seed": 2, "config": {}, "layout_file": "net.json"}
    np.savez(folder / "k.npz", meta=np.array(json.dumps(meta)))
    with pytest.raises(InputError, match="--layouts"):
        open_case(folder / "k.npz", Folders.around(folder)).weights()


def test_a_folder_that_does_not_exist_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        list(golden.verify(tmp_path / "nowhere"))


def test_the_report_for_programs_is_plain_json(folder):
    write(folder, "cst_posembed_wrong", config=IDENTITY, **{"out.official": np.zeros(3), "out.plain": np.zeros(3)})
    report = golden.as_json(list(golden.verify(folder)))
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text)["files"][0]["deviation"] is None
    assert "expected (3,)" in report["files"][0]["detail"]


@pytest.mark.parametrize("kind", list(golden.KINDS))
def test_every_kind_of_the_table_has_a_runner(kind):
    assert callable(kinds.runner_of(kind))
