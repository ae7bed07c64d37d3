"""Unlike these: what is far from every token of good pictures (after PatchCore, Roth et al. 2022).

learn    tokens of all that is sound, an equal part of the budget for each picture; two thresholds by left-out pictures
predict  the distance of each token to the nearest of memory, averaged over three by three cells; a picture in which one lies above the alarm's threshold
         shows something, and what lies above the threshold of pixels is unlike

Of PatchCore: a memory of tokens of good pictures, thinned, and the distance to the nearest. Otherwise here: one late middle layer of the backbone instead of
two of a convolutional network, cells that stand for others instead of a greedy choice, no weighting by neighbours of neighbours, and thresholds.

Good pictures are those in which every class is absent: they are all that is needed. Where examples show classes, their tokens are left out of the memory,
the threshold of pixels is the one that overlaps best with them, and a region that is unlike is of the class whose mean token it is most like.

Limits: anything that the good pictures do not show is unlike, whether it matters or not, an odd edge or exposure too; nothing is known of defects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError
from likewise.functional.coreset import coreset
from likewise.functional.matching import class_means, cosine
from likewise.functional.unlikeness import alarm_above, best_cut, left_out_distances, nearest_distance, own_distance, smoothed
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer
from likewise.methods.prompts import PatchLabels, patch_labels, require_some

_APART = 2  # cells around a token that a single picture is not compared with itself in
_LEAST_SPREAD = 0.05  # of the threshold: the width of the step from absent to present where good pictures hardly differ


@dataclass(frozen=True, kw_only=True)
class UnlikeSettings(MethodSettings):
    """The settings.

    false_alarms: the share of good pictures that may be said to show something, at most; extent: the share of good cells that may lie above the threshold of
    pixels, of 0.005 to 0.1 the best on half of tile_defects; layers: blocks of the backbone, chosen by the labelled
    examples of steel_defects and half of tile_defects (docs/unlike.md); temperature: the factor on cosines by which what is unlike is given to classes, as
    for prototypes; budget: tokens kept in all; side: the working size.
    """

    false_alarms: float = 0.1
    extent: float = 0.05
    layers: tuple[int, ...] = (-4,)
    temperature: float = 20.0
    budget: int = 16_384
    side: int = 448

    def __post_init__(self) -> None:
        for name in ("false_alarms", "extent"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}", where="UnlikeSettings", remedy="Give a share above 0 and below 1, 0.1 for example")


@dataclass(frozen=True)
class Sound:
    """A picture's tokens (P, D) of a grid (h, w), where it is sound (P,) bool, the soft labels of its patches, and the sound tokens that are kept (K, D)."""

    tokens: Tensor
    grid: tuple[int, int]
    where: Tensor
    labels: PatchLabels
    kept: Tensor

    @property
    def good(self) -> bool:
        """Whether all that is labelled of it is sound."""
        return bool(self.where.any()) and not bool((self.labels.shares[:, 1:].sum(1) * self.labels.weight > 0).any())


class Unlike(Method):
    """See the top of the file.

    Presence is a half where the highest distance of a picture is the alarm's threshold, above which at most `false_alarms` of good pictures lie, as far as
    their number allows (`likewise inspect` says what was reached). For every standard deviation of the left-out good pictures' highest distances beyond it,
    the odds grow by e. It is no frequency: how often defects are and how far from good they lie cannot be known from good pictures. Where no example is
    good as a whole, the threshold of pixels is that of presence. The confidence of what is found is the Dice score that such probabilities of pixels
    expect; that of finding nothing is one less presence.
    """

    name = "unlike"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    from_good = True
    Settings = UnlikeSettings
    settings: UnlikeSettings

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """A late middle layer of the backbone."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """Tokens "memory" (K, D) half precision, "classes" (N, D) and "seen" (N,) bool; facts: thresholds, spread and what the alarm promises.

        Raises InputError where nothing is sound, and for several classes of which no example shows one.
        """
        labels = patch_labels(support, features[self._spec])
        require_some(labels)
        seen = torch.stack([(own.shares * own.weight[:, None]).sum(0) for own in labels]).sum(0)[1:] > 0
        if len(seen) > 1 and not bool(seen.any()):
            names = ", ".join(support.classes.names.values())
            raise InputError(f"no example shows any of {names}", where="support", remedy="Name one class for all that is unlike, or label one of each")
        pictures = self._pictures(features[self._spec], labels)
        facts = self._thresholds(pictures)
        named = {"seen": seen if bool(seen.any()) else torch.ones_like(seen), "classes": _class_tokens(pictures)}
        return Memory({"memory": torch.cat([own.kept for own in pictures]), **named}, facts)

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Masks and presence of every query."""
        return [self._answer(item, memory) for item in features[self._spec]]

    @property
    def _spec(self) -> FeatureSpec:
        return FeatureSpec(layers=self.settings.layers, side=self.settings.side)

    def _pictures(self, features: Sequence[ImageFeatures], labels: Sequence[PatchLabels]) -> list[Sound]:
        """Each example with what is sound of it. InputError where nothing is."""
        where = [(own.weight > 0) & (own.shares[:, 1:].sum(1) <= 0) for own in labels]
        holding = sum(bool(each.any()) for each in where)
        if not holding:
            raise InputError("no part of any example is background", where="support", remedy="Give good images, or images whose background is labelled")
        found = []
        for item, own, here in zip(features, labels, where, strict=True):
            tokens = item.joined()
            found.append(Sound(tokens, item.grid, here, own, _thinned(tokens[here], max(1, self.settings.budget // holding))))
        return found

    def _thresholds(self, pictures: Sequence[Sound]) -> dict[str, float | dict[str, float]]:
        """The thresholds of presence and of pixels, the spread, and what the alarm promises, by pictures against the memory of the others."""
        maps = _left_out(pictures)
        sound = [(own, smoothed(far, own.grid, own.where)[own.where]) for own, far in zip(pictures, maps, strict=True) if bool(own.where.any())]
        tops = torch.stack([cells.max() for own, cells in sound if own.good] or [cells.max() for _, cells in sound])
        good, marked = sum(own.good for own in pictures), _best_threshold(pictures, maps)
        alarm = alarm_above(tops, self.settings.false_alarms)
        presence = alarm.threshold if good or marked is None else marked
        pixels = min(presence, _exceeded_by(torch.cat([cells for _, cells in sound]), self.settings.extent)) if marked is None else marked
        spread = max(float(tops.std()) if len(tops) > 1 else 0.0, _LEAST_SPREAD * presence, 1e-6)
        facts: dict[str, float | dict[str, float]] = {"presence": presence, "pixels": pixels, "spread": spread}
        return facts | ({"alarm": {**asdict(alarm), "asked": self.settings.false_alarms, "images": good}} if good else {})

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        facts, tensors = memory.facts, memory.tensors
        tokens = item.joined()
        raw = nearest_distance(tokens, tensors["memory"].float())
        far = smoothed(raw, item.grid)
        alike = _around(cosine(tokens, tensors["classes"]), raw, item.grid).masked_fill(~tensors["seen"], -torch.inf)
        unlike = (far - facts["pixels"])[:, None] / facts["spread"]
        logits = unlike + self.settings.temperature * (alike - alike.amax(1, keepdim=True))
        top = far[:, None].masked_fill(alike < alike.amax(1, keepdim=True), -torch.inf).amax(0)
        presence = torch.sigmoid((top - facts["presence"]) / facts["spread"])
        return answer(torch.cat([torch.zeros(len(far), 1), logits], dim=1), item.grid, presence=presence)


def _thinned(tokens: Tensor, budget: int) -> Tensor:
    """At most `budget` of the tokens (R, D), which cover all, half precision."""
    if not len(tokens):
        return tokens.half()
    alike = torch.zeros(len(tokens), 1)
    return tokens[coreset(tokens, alike, torch.ones(len(tokens)), budget, by_class=False).rows].half()


def _class_tokens(pictures: Sequence[Sound]) -> Tensor:
    """The mean token (N, D) of each class, zeros for one that no example shows."""
    shares = torch.cat([own.labels.shares * own.labels.weight[:, None] for own in pictures])
    return class_means(torch.cat([own.tokens for own in pictures]), shares)[1:]


def _around(alike: Tensor, far: Tensor, grid: tuple[int, int]) -> Tensor:
    """The cosines (P, N) averaged over neighbours by how unlike (P,) these are: at the edge of what is unlike its inside says what it is."""
    total = smoothed(far, grid).clamp_min(1e-9)
    return torch.stack([smoothed(own * far, grid) / total for own in alike.T], dim=1)


def _left_out(pictures: Sequence[Sound]) -> list[Tensor]:
    """The distance (P,) of each picture's tokens to what is sound in the others; to itself further away, where only one has anything sound."""
    if sum(bool(own.where.any()) for own in pictures) > 1:
        return list(left_out_distances([own.tokens for own in pictures], [own.kept.float() for own in pictures]))
    only = next(own for own in pictures if bool(own.where.any()))
    memory = only.kept.float()
    return [own_distance(own.tokens, own.grid, own.where, _APART) if own is only else nearest_distance(own.tokens, memory) for own in pictures]


def _exceeded_by(distances: Tensor, share: float) -> float:
    """The distance that at most a share of distances (R,) exceed."""
    return float(distances.sort().values[min(len(distances) - 1, int((1 - share) * len(distances)))])


def _best_threshold(pictures: Sequence[Sound], maps: Sequence[Tensor]) -> float | None:
    """The threshold that overlaps best with what the examples mark as classes; None where they mark nothing."""
    known = [own.labels.weight > 0 for own in pictures]
    far = torch.cat([smoothed(each, own.grid)[here] for each, own, here in zip(maps, pictures, known, strict=True)])
    shares = torch.cat([own.labels.shares[here, 1:].sum(1).clamp(0, 1) for own, here in zip(pictures, known, strict=True)])
    return best_cut(far, shares) if bool((shares > 0).any()) else None
