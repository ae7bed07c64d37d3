"""Matching networks: the classes of the support, weighted by how alike they are (Vinyals et al. 2016, "Matching Networks for One Shot Learning").

learn    the features of the supports; with a checkpoint that has full context embeddings, in the context of each other
predict  attention of the picture over the supports, the classes' shares of it

On a frozen backbone nothing is trained (see `frame`); a checkpoint's encoder is run as published, with its full context embeddings if it has any.
Of classes with more examples each counts less, which the publications, whose classes have equally many, do not say.

Limits: with full context the answer depends on the order of the supports, which is that of the hashes of their pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.errors import UsageError, close_match
from likewise.functional.prototypes import cosine_scores
from likewise.functional.support_attention import attention, class_probabilities, log_probabilities
from likewise.methods.classifiers.frame import ClassifierSettings, PictureClassifier
from likewise.methods.classifiers.matching_model import FullContext, full_context_of

KERNELS = ("sharp", "cosine", "support")


@dataclass(frozen=True, kw_only=True)
class MatchingSettings(ClassifierSettings):
    """kernel: of the attention, "sharp" 100 relu(cosine) (Chen et al. 2019), "cosine" (the paper) or "support" (Wang et al. 2018)."""

    kernel: str = "sharp"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel not in KERNELS:
            raise UsageError(f"setting 'kernel' is {self.kernel!r}", where=type(self).__qualname__, remedy=close_match(self.kernel, KERNELS))


class Matching(PictureClassifier):
    """See the top of the file."""

    name = "matching"
    usual_temperature = 6.0
    beside = ("FCE.", "G_encoder.")
    Settings = MatchingSettings
    settings: MatchingSettings

    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Supports (S, D) and their classes (S,)."""
        context = _context(network)
        supports = features.flatten(1)
        return {"supports": supports if context is None else context.supports(supports), "labels": labels, "ways": torch.tensor(n_way)}

    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """Logarithms of the classes' shares."""
        context, queries = _context(network), features.flatten(1)
        if context is not None:
            queries = context.queries(queries, kept["supports"])
        kernel = next(each for each in ("sharp", "cosine", "support") if each == self.settings.kernel)
        weights = attention(queries, kept["supports"], kernel)
        return log_probabilities(class_probabilities(weights, kept["labels"], int(kept["ways"]), by_shot=True))

    def distances(self, features: Tensor, logits: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """One less the cosine with the most similar support: attention sums to 1 however far all are."""
        del logits
        return 1 - cosine_scores(features.flatten(1), kept["supports"]).amax(dim=1)


def _context(network: Mapping[str, Tensor]) -> FullContext | None:
    """The full context embeddings of a checkpoint, None where it has none."""
    if not any(name.startswith("FCE.") for name in network):
        return None
    with torch.random.fork_rng(devices=()):
        return full_context_of(network).eval().requires_grad_(False)
