"""The pseudo masks of CST as an answer of their own: the row "DINO" of the tables of Kang et al. 2023 (after Caron et al. 2021).

learn    what the class token of each image that shows a class asks for: its query in the last block, head by head
predict  where the picture answers it: cosines with the keys of its patches, the mean over heads and over the images of a class,
         enlarged, mapped to 0..1, above the threshold; of several classes the one that is answered most

Nothing is trained, and nothing is known of an image but its tag: a mask says no more than that the class is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import UsageError, close_match
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.cst.pseudo import THRESHOLD, class_query, head_cosines, patch_keys
from likewise.methods.patches import answer

SOURCES = ("attention", "tokens")
STEEPNESS = 20.0  # ours: of the probabilities, which say nothing of where a mask ends; that of cosines in PANet


@dataclass(frozen=True, kw_only=True)
class ClassAttentionSettings(MethodSettings):
    """The settings; the defaults are those of the published code.

    side: of the square that every image becomes; pseudo: what is compared, queries and keys of the last block ("attention")
    or its output "tokens"; threshold: of (cosine + 1) / 2.
    """

    side: int = 400
    pseudo: str = "attention"
    threshold: float = THRESHOLD


class ClassAttention(Method):
    """See the top of the file."""

    name = "class-attention"
    takes = frozenset({LabelKind.MASK, LabelKind.TAG})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    exempt: ClassVar[Mapping[str, str]] = {
        "permuted classes permute the answer": "nothing tells classes apart that the same images show: the first of them is taken"
    }
    Settings = ClassAttentionSettings
    settings: ClassAttentionSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        if self.settings.pseudo not in SOURCES:
            raise UsageError(f"setting 'pseudo' is {self.settings.pseudo!r}", where=self.name, remedy=close_match(self.settings.pseudo, SOURCES))

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last block of a square picture, with its queries and keys."""
        del memory
        return (FeatureSpec(layers=(-1,), side=self.settings.side, squash=True, qk=True),)

    def learn(self, support: Support, features: Features) -> Memory:
        """The class token's query by head (X, A, d) for each (class, image) that shows the class, and the places (X,) of the classes."""
        (spec,) = self.wants()
        pairs = [(place, index) for place, number in enumerate(support.classes) for index in support.showing(number)]
        asked = torch.stack([class_query(features[spec][index], self.settings.pseudo) for _, index in pairs])
        return Memory({"asked": asked, "places": torch.tensor([place for place, _ in pairs])}, {"classes": len(support.classes)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits of every query on the grid of its patches, in proportion to what is above the threshold, and presence where anything is."""
        (spec,) = self.wants()
        return [self._answer(item, memory) for _, item in zip(queries, features[spec], strict=True)]

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        above = (self._cosines(item, memory) + 1) / 2 - self.settings.threshold
        logits = STEEPNESS * torch.cat([torch.zeros_like(above[:1]), above])
        found = answer(logits.T, item.grid, presence=torch.sigmoid(logits[1:].amax(dim=1)))
        return replace(found, corners=True, gated=False)

    def _cosines(self, item: ImageFeatures, memory: Memory) -> Tensor:
        """The mean cosine (N, P) of the patches with what each class asks for; of a class that no image shows -inf."""
        keys, asked = patch_keys(item, self.settings.pseudo), memory.tensors["asked"]
        each = torch.stack([head_cosines(one[None], keys[None])[0].mean(dim=0) for one in asked])
        found = torch.full((int(memory.facts["classes"]), each.shape[1]), -torch.inf, device=each.device)
        for place in set(memory.tensors["places"].tolist()):
            found[place] = each[memory.tensors["places"] == place].mean(dim=0)
        return found
