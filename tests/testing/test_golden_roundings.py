"""A golden file whose outputs hang on rounding agrees if it agrees under one set of instructions, within the same tolerance; others do not get a second try."""

import json
import sys
import types

import numpy as np
import pytest

from likewise.testing import golden
from likewise.testing.golden import kinds, roundings
from likewise.testing.golden.case import Folders

HERE, THERE = {"LIKEWISE_TEST_SET": "here"}, {"LIKEWISE_TEST_SET": "there"}
RUNNER = """
import os
from likewise.testing.golden.roundings import Unsettled

def runner(case):
    value = 1.0 if os.environ.get("LIKEWISE_TEST_SET") == case.config["right"] else 1.1
    return Unsettled({"value": value}, "a logarithm at 0") if case.config["unsettled"] else {"value": value}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The result of a file that is right under one value of a variable of the environment."""
    monkeypatch.setattr(roundings, "SETS", (HERE, THERE))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    (tmp_path / "sitecustomize.py").write_text("from likewise.testing.golden import kinds\nkinds.KINDS['odd'] = 'odd_runner:runner'\n")
    (tmp_path / "odd_runner.py").write_text(RUNNER)
    module = types.ModuleType("odd_runner")
    exec(RUNNER, module.__dict__)
    monkeypatch.setitem(sys.modules, "odd_runner", module)
    monkeypatch.setitem(kinds.KINDS, "odd", "odd_runner:runner")

    def result(**config):
        path = tmp_path / "odd_one.npz"
        np.savez(path, meta=json.dumps({"kind": "odd", "config": config, "tolerance": {"out.value": {"atol": 1e-3}}}), **{"out.value": np.array(1.0)})
        return golden.run_file(path, Folders.around(tmp_path))

    return result


def test_it_passes_under_the_set_that_gives_the_files_value_and_says_which(run):
    result = run(right="there", unsettled=True)
    assert (result.status, result.deviation) == ("pass", 0.0)
    assert result.detail == "with LIKEWISE_TEST_SET=there: a logarithm at 0"


def test_it_fails_where_no_set_gives_the_files_value(run):
    result = run(right="nowhere", unsettled=True)
    assert (result.status, result.detail) == ("FAIL", "out.value")
    assert result.deviation == pytest.approx(100)


def test_an_output_that_does_not_hang_on_rounding_gets_no_second_try(run):
    assert run(right="there", unsettled=False).status == "FAIL"
