"""The published system end to end: backbone, segmenter, matching; and what each costs once and what for each pair.

Source: Jiao et al. 2022 (MM-Former), its code.

    view        of an image alone: proposals, and the maps that are matched
    shown       of a support image and one class's label in it
    answered    of a query and the supports of a class: the foreground
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from likewise.methods.mm_former.matching import Matching, MatchingConfig, Side, View, merged, proposal_means, similarity_of
from likewise.proposals.segmenter import Segmenter, SegmenterConfig, resized_maps

TINY = 1e-6  # keeps a proposal that is nowhere finite, where the published behaviour is not asked for


@dataclass(frozen=True)
class Answer:
    """cosines and coefficients (B, N) of the proposals, the foreground (B, H, W), prototypes of the support (B, L D), mean over shots."""

    similarity: Tensor
    coefficients: Tensor
    foreground: Tensor
    prototype: Tensor


class MaskMatcher(nn.Module):
    """Segmenter and matching behind a backbone of four maps (stages 2 to 5, the finest first)."""

    def __init__(self, segmenter: SegmenterConfig, matching: MatchingConfig) -> None:
        super().__init__()
        self.segmenter, self.matching = Segmenter(segmenter), Matching(matching)

    def segmented(self, maps: Sequence[Tensor]) -> Tensor:
        """Logits (B, N, h, w) of the proposals."""
        return self.segmenter(resized_maps(maps, same_size=self.segmenter.config.same_size)).logits

    def viewed(self, maps: Sequence[Tensor], *, within: bool = True) -> View:
        """Query images, of their four maps; within: whether each is aligned within itself."""
        return View(self.matching.query_sides(self.matching.reduced(maps[:0:-1], within=within)), self.segmented(maps).sigmoid())

    def shown(self, maps: Sequence[Tensor], labels: Tensor, *, within: bool = True) -> list[Side]:
        """Support images, of their four maps and the labels (B, H, W) of a class in 0..1."""
        return self.matching.support_sides(self.matching.reduced(maps[:0:-1], within=within), labels)

    def answered(
        self, view: View, shots: Sequence[Sequence[Side]], size: Sequence[int], *, official: bool = False, cross: bool = True, sharp: float = 0.0
    ) -> Answer:
        """The answer for queries, given each shot of the support; every shot is aligned with the query as it is, prototypes are means over shots.

        sharp: 0 for the coefficients that the network gives, which knows proposals by their number; above, see `expected`.
        """
        asked, given = [], []
        for shot in shots:
            maps, means = self.matching.aligned(view.sides, shot, cross=cross)
            asked.append(proposal_means(maps, view.proposals, eps=0.0 if official else TINY))
            given.append(torch.cat(means, dim=1))
        prototype = torch.stack(given).mean(dim=0)
        similarity = similarity_of(torch.stack(asked).mean(dim=0), prototype)
        weights = expected(view.proposals, similarity, sharp) if sharp else self.matching.coefficients(similarity)
        return Answer(similarity, weights, merged(view.proposals, weights, size), prototype)


def expected(proposals: Tensor, similarity: Tensor, sharp: float) -> Tensor:
    """Coefficients (B, N) of proposals (B, N, h, w) by their cosines (B, N) alone, whatever their number and order (ours).

    The softmax of `sharp` times the cosine, scaled so that the foreground is 1 where it is largest.
    """
    weights = torch.softmax(sharp * similarity, dim=1)
    largest = torch.einsum("bnhw, bn -> bhw", proposals, weights).flatten(1).amax(dim=1)
    return weights / largest.clamp_min(1e-6)[:, None]
