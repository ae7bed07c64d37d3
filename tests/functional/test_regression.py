"""Ridge regression in closed form against scikit-learn and the normal equations."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from likewise.functional.regression import apply_ridge, balanced_weight, left_out, ridge, sums


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(50, 7, generator=generator), torch.randn(50, 3, generator=generator), torch.rand(50, generator=generator)


def test_equals_scikit_learn_with_the_same_penalty(rows):
    features, targets, weight = rows
    total = sums(features, targets, weight)
    penalty = 0.05 * float(total.gram.diagonal()[:7].mean())
    theirs = Ridge(alpha=penalty).fit(features.numpy(), targets.numpy(), sample_weight=weight.numpy())
    ours = apply_ridge(features, ridge(total, 0.05))
    np.testing.assert_allclose(ours.numpy(), theirs.predict(features.numpy()), atol=1e-4)


def test_leaving_a_part_out_equals_fitting_the_others(rows):
    features, targets, weight = rows
    parts = [sums(features[i::4], targets[i::4], weight[i::4]) for i in range(4)]
    rest = torch.cat([torch.arange(50)[i::4] for i in (0, 2, 3)])
    expected = ridge(sums(features[rest], targets[rest], weight[rest]), 1e-2)
    torch.testing.assert_close(left_out(parts, [[1]], 1e-2)[0], expected, atol=1e-4, rtol=1e-4)


def test_rows_without_weight_do_not_count(rows):
    features, targets, weight = rows
    weight = weight.clone()
    weight[:20] = 0
    with_junk = features.clone()
    with_junk[:20] = 1e6
    torch.testing.assert_close(ridge(sums(with_junk, targets, weight), 1e-2), ridge(sums(features[20:], targets[20:], weight[20:]), 1e-2))


def test_features_that_repeat_each_other_are_solved(rows):
    features, targets, weight = rows
    doubled = torch.cat([features, features], dim=1)
    answer = apply_ridge(doubled, ridge(sums(doubled, targets, weight), 0.0))
    assert torch.isfinite(answer).all()


def test_nothing_with_weight_is_an_error(rows):
    features, targets, _ = rows
    with pytest.raises(ValueError, match="weight"):
        ridge(sums(features, targets, torch.zeros(50)), 1e-2)


def test_shapes_that_do_not_agree_are_named():
    with pytest.raises(ValueError, match=r"\(5, 2\)"):
        sums(torch.zeros(5, 2), torch.zeros(4, 1), torch.ones(5))


def test_balancing_raises_rare_classes_and_keeps_the_total():
    shares = torch.nn.functional.one_hot(torch.tensor([0] * 90 + [1] * 10)).float()
    raised = balanced_weight(shares, torch.ones(100))
    assert raised.sum() == pytest.approx(100)
    assert raised[95] / raised[0] == pytest.approx(3.0, rel=1e-4)  # (0.9 / 0.1) ** 0.5
