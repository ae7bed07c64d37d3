"""Every method of the registry keeps every law."""

from dataclasses import replace

import pytest

from likewise.methods import available
from likewise.testing import conformance


@pytest.mark.parametrize("law", conformance.LAWS)
@pytest.mark.parametrize("method", available())
def test_method_keeps_the_law(method, law):
    small = {"sides": (168,)} if method == "analogy" else {"side": 168}  # the laws hold at any size; this one is quick
    exemption = conformance.check_law(method, law, **small)
    if exemption is not None:
        pytest.skip(f"exempt: {exemption}")


class TestTheSuiteItself:
    def test_a_method_that_remembers_its_queries_is_caught(self, monkeypatch):
        from likewise.methods.ridge import RidgeBaseline

        honest = RidgeBaseline.predict

        def drifting(self, queries, features, memory):
            memory.tensors["classes.coefficients"] += 0.1
            return honest(self, queries, features, memory)

        monkeypatch.setattr(RidgeBaseline, "predict", drifting)
        with pytest.raises(AssertionError, match="changed the memory"):
            conformance.check_law("ridge", "predicting twice gives the same and changes no memory")

    def test_a_method_that_draws_from_the_global_generator_is_caught(self, monkeypatch):
        import torch

        from likewise.methods.ridge import RidgeBaseline

        honest = RidgeBaseline.learn

        def noisy(self, support, features):
            torch.rand(1)
            return honest(self, support, features)

        monkeypatch.setattr(RidgeBaseline, "learn", noisy)
        with pytest.raises(AssertionError, match="random state"):
            conformance.check_law("ridge", "the global random state is untouched")

    def test_a_method_that_settles_anew_for_every_support_is_caught(self, monkeypatch):
        from likewise.methods.ridge import RidgeBaseline

        monkeypatch.setattr(RidgeBaseline, "settled", lambda self, support: RidgeBaseline(self.settings.changed(side=112 + 28 * len(support))))
        with pytest.raises(AssertionError, match="another changed"):
            conformance.check_law("ridge", "settings once settled stay")

    def test_a_confidence_that_is_lost_in_the_file_is_caught(self, monkeypatch):
        from likewise.methods.ridge import RidgeBaseline

        honest, first = RidgeBaseline.predict, []

        def forgetful(self, queries, features, memory):
            first.append(memory)
            return [replace(raw, confidence=0.9 if memory is first[0] else 0.4) for raw in honest(self, queries, features, memory)]

        monkeypatch.setattr(RidgeBaseline, "predict", forgetful)
        with pytest.raises(AssertionError, match="confidence changed"):
            conformance.check_law("ridge", "saving and loading change nothing")

    def test_an_exemption_is_reported_with_its_reason(self, monkeypatch):
        from likewise.methods.ridge import RidgeBaseline

        monkeypatch.setattr(RidgeBaseline, "exempt", {"inputs are unchanged": "a reason"})
        assert conformance.check_law("ridge", "inputs are unchanged") == "a reason"
