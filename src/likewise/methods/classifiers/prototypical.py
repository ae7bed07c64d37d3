"""Prototypes of whole pictures: the nearest class mean (Snell et al. 2017, "Prototypical Networks for Few-shot Learning").

learn    the sum of each class's features and how many there are: its mean is the class's prototype, and a class more changes no other's
predict  negative squared distances of the picture's features from the prototypes, softmax

On a frozen backbone nothing is trained (see `frame`); with a checkpoint its encoder is run, as published.

Limits: one mean a class, so a class that looks several ways is blurred; one class a picture.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from likewise.functional.prototypes import ClassSums, class_sums, distance_scores
from likewise.methods.classifiers.frame import PictureClassifier


class Prototypical(PictureClassifier):
    """See the top of the file."""

    name = "prototypical"
    usual_temperature = 0.5

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sums (n, D) and counts (n,)."""
        return dict(class_sums(features.flatten(1), labels, n_way)._asdict())

    def nearer(self, count: Tensor, without: Tensor) -> Tensor:
        """The expected squared distance from a mean of K examples is 1 + 1/K variances: with all of them it is that much smaller."""
        return (1 + 1 / count) / (1 + 1 / without)

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """Negative squared distances."""
        return distance_scores(features.flatten(1), ClassSums(kept["sums"], kept["counts"]).means())
