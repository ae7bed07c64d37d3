"""Temperatures and the threshold of "none of these", against what can be counted."""

import pytest
import torch

from likewise.functional.class_choice import NoneRule, fit_none, fit_temperature
from likewise.functional.shares import share_interval


def logits_that_say(probabilities, count):
    """Logits (count, 2) whose softmax is (p, 1 - p), and labels of which exactly a share p is the first class."""
    labels = (torch.arange(count) >= round(probabilities * count)).long()
    return torch.log(torch.tensor([[probabilities, 1 - probabilities]])).expand(count, 2), labels


@pytest.mark.parametrize("factor", [0.02, 1.0, 37.0])
def test_scores_of_any_scale_become_the_shares_that_were_seen(factor):
    logits, labels = logits_that_say(0.8, 500)
    fitted = torch.softmax(factor * logits / fit_temperature(factor * logits, labels), dim=1)
    assert fitted[0, 0] == pytest.approx(0.8, abs=0.02)


def test_few_examples_that_were_all_right_do_not_make_the_next_one_certain():
    logits = torch.tensor([[3.0, 0.0, -1.0]]).expand(4, 3)
    few, many = (torch.softmax(logits[:1] / fit_temperature(logits[:1].expand(n, 3), torch.zeros(n).long()), dim=1)[0, 0] for n in (4, 400))
    assert 0.7 < few < 0.95 < many < 1


@pytest.mark.parametrize("logits", [torch.zeros(0, 3), torch.zeros(5, 1), torch.zeros(5, 3)])
def test_without_anything_to_fit_the_scores_stay_as_published(logits):
    assert fit_temperature(logits, torch.zeros(len(logits)).long()) == 1


def test_the_threshold_refuses_the_stated_share_of_new_images():
    torch.manual_seed(0)
    refused = []
    for _ in range(300):
        known, fresh = torch.rand(59).square(), torch.rand(200).square()
        refused.append(float((fresh >= fit_none(known, torch.zeros(0), 0.1).threshold).float().mean()))
    assert sum(refused) / len(refused) == pytest.approx(0.1, abs=0.012)


def test_with_few_examples_the_share_is_refused_on_average_though_no_example_lies_there():
    torch.manual_seed(1)
    refused = [float((torch.rand(400) >= fit_none(torch.rand(25), torch.zeros(0), 0.05).threshold).float().mean()) for _ in range(1500)]
    assert sum(refused) / len(refused) == pytest.approx(0.05, abs=0.005)


def test_with_few_examples_none_of_them_is_refused():
    known = torch.tensor([0.4, 0.1, 0.7])
    assert fit_none(known, torch.zeros(0), 0.05).threshold > 0.7


def test_examples_of_none_choose_the_middle_of_the_gap():
    rule = fit_none(torch.tensor([0.4, 0.1, 0.7]), torch.tensor([1.1, 5.0, 0.2]), 0.05)
    assert rule.threshold == pytest.approx(0.9)


def test_of_the_like_of_examples_of_none_alone_half_are_refused():
    strange = torch.tensor([4.0, 1.5, 2.0])
    rule = fit_none(torch.zeros(0), strange, 0.05)
    assert (rule.probability(strange) >= 0.5).tolist() == [True, False, True]
    assert rule.probability(torch.tensor([1.0])) < 0.1


def test_the_probability_is_a_half_at_the_threshold_and_the_rate_at_the_median():
    known = torch.linspace(0, 1, 101)
    rule = fit_none(known, torch.zeros(0), 0.2)
    assert rule.probability(torch.tensor([rule.threshold])).item() == pytest.approx(0.5)
    assert rule.probability(torch.tensor([0.5])).item() == pytest.approx(0.2, abs=1e-5)


def test_nothing_at_all_is_no_ground_for_a_threshold():
    with pytest.raises(ValueError, match="no distance"):
        fit_none(torch.zeros(0), torch.zeros(0), 0.05)


def test_the_rule_has_no_width_of_zero():
    assert fit_none(torch.tensor([0.3, 0.3]), torch.zeros(0), 0.05).width > 0
    assert isinstance(NoneRule(1.0, 2.0).probability(torch.zeros(3)), torch.Tensor)


@pytest.mark.parametrize(("hits", "of"), [(0, 7), (7, 7), (13, 50), (999, 1000)])
def test_the_interval_of_a_share_is_wilsons(hits, of):
    from scipy.stats import binomtest

    expected = binomtest(hits, of).proportion_ci(0.95, method="wilson")
    assert share_interval(hits, of) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(("hits", "of"), [(0, 0), (5, 3), (-1, 3)])
def test_what_is_no_share_has_no_interval(hits, of):
    with pytest.raises(ValueError, match="no share"):
        share_interval(hits, of)
