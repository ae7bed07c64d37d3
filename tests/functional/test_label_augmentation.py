"""Label augmentations: their laws; the published numbers are compared in golden files."""

import numpy as np
import pytest
import torch

from likewise.functional.label_augmentation import LEVELS, Mixed, blurred, drawn, jitter, mirrored, mixup, polynomial, quantised, sigmoid, stretched

LABEL = torch.rand(3, 1, 40, 37, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2


@pytest.mark.parametrize(
    "change",
    [lambda y: jitter(y, 0.2, -0.4), lambda y: polynomial(y, 2.5), lambda y: sigmoid(y, 0.2), lambda y: quantised(y, 5), lambda y: blurred(y, 9, 2.0)],
    ids=["jitter", "polynomial", "sigmoid", "quantised", "blurred"],
)
def test_a_changed_label_fills_0_to_1_and_a_constant_one_becomes_0(change):
    found = change(LABEL)
    assert (float(found.min()), float(found.max())) == (0, 1)
    assert found.shape == LABEL.shape
    assert not change(torch.full((1, 1, 30, 30), 0.5)).any()


@pytest.mark.parametrize("change", [lambda y: polynomial(y, 0.4), lambda y: sigmoid(y, 0.1), lambda y: quantised(y, 22)])
def test_pointwise_changes_keep_the_order_of_values(change):
    values, found = LABEL.flatten(), change(LABEL).flatten()
    order = values.argsort()
    assert bool((found[order].diff() >= 0).all())


def test_huge_temperatures_leave_as_many_values_as_steps():
    smooth = torch.linspace(0, 1, 20_000).reshape(1, 1, 100, 200)
    for temperature, levels in LEVELS.items():
        assert quantised(smooth, levels).unique().numel() == levels
        assert abs(sigmoid(smooth, temperature).unique().numel() - levels) <= 3
        assert float((quantised(smooth, levels) - sigmoid(smooth, temperature)).abs().mean()) < 0.2


def test_a_blur_equals_a_plain_convolution_inside():
    weight = torch.exp(-0.5 * ((torch.arange(9) - 4) / 2.0) ** 2)
    weight = (weight / weight.sum())[:, None] * (weight / weight.sum())
    plain = torch.nn.functional.conv2d(LABEL, weight[None, None])
    whole = blurred(LABEL, 9, 2.0)[..., 4:-4, 4:-4]
    torch.testing.assert_close(stretched(whole), stretched(plain), atol=1e-4, rtol=1e-4)


def test_mixing_is_known_where_both_are():
    one = Mixed(torch.tensor([0.0, 1, 1]), torch.tensor([1.0, 1, 0]))
    other = Mixed(torch.tensor([1.0, 1, 0]), torch.tensor([0.0, 1, 1]))
    mixed = mixup(one, other, 0.25)
    assert mixed.label.tolist() == [0.75, 1, 0.25]
    assert mixed.known.tolist() == [0, 1, 0]
    assert mirrored(one).label.tolist() == [1, 1, 0]


def test_a_seed_draws_the_same_changes_at_most_two_and_sometimes_fewer():
    counts = [len(drawn(np.random.RandomState(seed))) for seed in range(200)]
    assert set(counts) == {0, 1, 2}
    assert 1.45 < np.mean(counts) < 1.75
    for seed in range(5):
        one, two = (drawn(np.random.RandomState(seed)) for _ in range(2))
        for first, second in zip(one, two, strict=True):
            torch.testing.assert_close(first(LABEL), second(LABEL))
