"""Seconds by stage, on a clock of our own."""

import types

import pytest


def test_a_stage_within_another_is_taken_out_of_it(bench, monkeypatch):
    stages = bench("stages")
    clock = [0.0]
    monkeypatch.setattr(stages.time, "perf_counter", lambda: clock[0])

    def wait(seconds):
        clock[0] += seconds

    place = types.SimpleNamespace(inner=lambda: wait(2.0))
    place.outer = lambda: (wait(5.0), place.inner(), place.inner())
    found = stages.Stages()
    with found.watching([(place, "outer", "method"), (place, "inner", "backbone")]):
        place.outer()
        place.inner()
    assert found.seconds == {"method": 5.0, "backbone": 6.0}


def test_functions_are_put_back_even_after_an_error(bench):
    def broken():
        raise RuntimeError("broken")

    place = types.SimpleNamespace(call=broken)
    found = bench("stages").Stages()
    with pytest.raises(RuntimeError), found.watching([(place, "call", "method")]):
        place.call()
    assert place.call is broken
