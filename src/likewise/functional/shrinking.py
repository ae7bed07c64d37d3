"""Penalties that keep a representation simple, so that few examples suffice to learn a class on it (Hariharan and Girshick 2017).

All take the last features (B, D) in front of a linear classifier; gradients flow through the probabilities as well.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import one_hot


def _errors(scores: Tensor, labels: Tensor) -> Tensor:
    """One-hot truth less probability: (B, C)."""
    return one_hot(labels, scores.shape[1]).to(scores.dtype) - scores.softmax(dim=1)


def squared_gradient(features: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """The squared length of the gradient that an example gives the classifier's weights, in the mean over examples (SGM).

    features (B, D), scores (B, C) before the softmax, labels (B,) -> a scalar: the mean of |onehot - p|^2 |x|^2.
    """
    return (_errors(scores, labels).square().sum(dim=1) * features.square().sum(dim=1)).mean()


def batch_squared_gradient(features: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """The squared length of the gradient that the whole batch gives the classifier's weights.

    features (B, D), scores (B, C), labels (B,) -> a scalar: |(1/B) sum (onehot - p) x^T|^2, Frobenius.
    """
    return (_errors(scores, labels).T @ features / features.shape[0]).square().sum()


def feature_norm(features: Tensor) -> Tensor:
    """Half the mean squared length of features (B, D): a scalar."""
    return features.square().sum() / (2 * features.shape[0])
