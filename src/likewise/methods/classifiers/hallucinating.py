"""Hallucinated examples in front of a learner of classes (Wang et al. 2018, "Low-Shot Learning from Imaginary Data").

learn    features of the examples by the checkpoint's encoder, beside them those that its hallucinator makes of them and of noise
predict  what the learner says of the picture's features: nearest class mean, attention over all examples, or over class means

It needs a checkpoint with an encoder and a hallucinator; no published one exists. The noise is drawn by a seed of its own, so learning again
gives the same examples.

Limits: the hallucinator knows features of the encoder it was trained on; how many examples it makes is a setting to be chosen by other classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from likewise.errors import UsageError, WeightsError, close_match
from likewise.functional.prototypes import cosine_scores
from likewise.methods.classifiers.common import class_major
from likewise.methods.classifiers.frame import ClassifierSettings, PictureClassifier
from likewise.methods.classifiers.hallucinator import LEARNERS
from likewise.methods.classifiers.hallucinator_model import HALLUCINATOR, Hallucinator, drawn_seeds, hallucinator_of
from likewise.methods.classifiers.reading import feature_shape, opened_encoder

UNTRAINED_INNER = 32  # hidden numbers of "random": as many as the encoder gives would be 10 M weights


@dataclass(frozen=True, kw_only=True)
class HallucinatorSettings(ClassifierSettings):
    """learner: see `hallucinator.LEARNERS`; generated: examples a class beside the real ones, 0 for none; seed: of their seeds and noise."""

    encoder: str = "conv4"
    learner: str = "prototypical"
    generated: int = 5  # ours; the paper tunes it on validation classes
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learner not in LEARNERS:
            raise UsageError(f"setting 'learner' is {self.learner!r}", where=type(self).__qualname__, remedy=close_match(self.learner, LEARNERS))
        if self.generated < 0:
            raise UsageError(f"setting 'generated' is {self.generated}", where=type(self).__qualname__, remedy="Give a number from 0")


class Hallucinating(PictureClassifier):
    """See the top of the file."""

    name = "hallucinator"
    trained = True
    Settings = HallucinatorSettings
    settings: HallucinatorSettings

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """UsageError: its authors published no checkpoint."""
        del official, config
        raise UsageError(f"the method {cls.name!r} has no published checkpoints", where="convert", remedy="Train one: `likewise train recipes/classifiers/...`")

    def untrained(self) -> dict[str, Tensor]:
        """An encoder that is always the same, and a small hallucinator that lets some numbers of its seeds through."""
        tensors = super().untrained()
        (width,) = feature_shape(opened_encoder(self.settings.encoder, tensors), self.side)
        with torch.random.fork_rng(devices=()):
            return tensors | {HALLUCINATOR + name: tensor for name, tensor in Hallucinator(width, UNTRAINED_INNER).state_dict().items()}

    def check(self, network: Mapping[str, Tensor]) -> None:
        """WeightsError for tensors without an encoder of rows, or a hallucinator of such rows."""
        shape = feature_shape(opened_encoder(self.settings.encoder, network), self.side)
        width = hallucinator_of(network).fc3.out_features
        if shape != (width,):
            raise WeightsError(
                f"the hallucinator makes {width} numbers, the encoder gives {' x '.join(map(str, shape))}",
                where="hallucinator",
                remedy="Name the encoder and the side of pictures that it was trained for",
            )

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Real and generated features (S + n G, D) and their classes."""
        own, count = self.settings, self.settings.generated
        if not count:
            return {"supports": features, "labels": labels}
        seeds, noise = drawn_seeds([features[labels == place] for place in range(n_way)], count, Generator().manual_seed(own.seed))
        with torch.no_grad():
            made = hallucinator_of(network)(seeds, noise)
        return {"supports": torch.cat([features, made.flatten(0, 1)]), "labels": torch.cat([labels, class_major(n_way, count)])}

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """What the learner says."""
        return LEARNERS[self.settings.learner](kept["supports"], kept["labels"], features)

    def distances(self, features: Tensor, logits: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """The squared distance from the nearest mean; of the learners by attention, which sums to 1, one less the best cosine with an example."""
        if self.settings.learner == "prototypical":
            return super().distances(features, logits, kept)
        return 1 - cosine_scores(features, kept["supports"]).amax(dim=1)
