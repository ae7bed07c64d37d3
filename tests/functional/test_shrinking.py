import pytest
import torch
from torch.nn.functional import cross_entropy

from likewise.functional.shrinking import batch_squared_gradient, feature_norm, squared_gradient

BATCH, CLASSES, WIDTH = 5, 4, 7


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(BATCH, WIDTH, generator=generator, dtype=torch.float64)
    weight = torch.randn(CLASSES, WIDTH, generator=generator, dtype=torch.float64).requires_grad_()
    return features, weight, torch.tensor([0, 3, 1, 1, 2])


def test_the_penalty_is_the_mean_squared_gradient_that_each_example_gives_the_classifier(batch):
    features, weight, labels = batch
    squares = []
    for row, label in zip(features, labels, strict=True):
        loss = cross_entropy((row @ weight.T)[None], label[None])
        squares.append(torch.autograd.grad(loss, weight)[0].square().sum())
    found = squared_gradient(features, features @ weight.T, labels)
    torch.testing.assert_close(found, torch.stack(squares).mean())


def test_the_batch_penalty_is_the_squared_gradient_of_the_mean_loss(batch):
    features, weight, labels = batch
    gradient = torch.autograd.grad(cross_entropy(features @ weight.T, labels), weight)[0]
    torch.testing.assert_close(batch_squared_gradient(features, features @ weight.T, labels), gradient.square().sum())


def test_the_feature_norm_is_half_the_mean_squared_length():
    assert float(feature_norm(torch.tensor([[3.0, 4.0], [1.0, 2.0], [0.0, 1.0]]))) == pytest.approx((25 + 5 + 1) / 6)
