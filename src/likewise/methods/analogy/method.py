"""Analogy: the default method. Read-outs of frozen tokens and of the picture, chosen by predicting the support from itself.

learn    token read-outs in closed form at one or more working sizes; on top of them a pixel read-out (local features)
         and, under `best`, a convolutional one, fitted on what the tokens say of left-out parts. Whole images are left
         out where every class stays, blocks of an image that alone shows a class. The left-out answers give each
         read-out its weight in the mean, and choose an offset against the background and the sharpness of probabilities.
         Dense targets by a linear and a kernel regression, positive ones under a logarithm unless that does worse.
         Keypoints by score maps at two working sizes and a prior of how points lie to each other.
predict  one backbone pass a working size, the chosen read-outs, softmax; presence from where a class leads and from tokens
         kept of the support; confidence as the IoU to expect

Limits: with one image a class nothing can tell how the next image will differ. Fitted read-outs need masks, and at
most `most_classes` classes; other labels are answered by the tokens alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from likewise.backbones.alter import alteration
from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.functional.links import decode
from likewise.methods.analogy import presence, quality
from likewise.methods.analogy.crossfit import fitted_answers
from likewise.methods.analogy.evidence import Evidence, Reference, evidence_of, reference_of
from likewise.methods.analogy.folds import image_folds, patch_folds
from likewise.methods.analogy.learning import Learned, learn_classes, scene_of
from likewise.methods.analogy.points import Point, PointFit, learn_points
from likewise.methods.analogy.scale import TILE, working_scale
from likewise.methods.analogy.strangeness import Texture, steadied, texture_of
from likewise.methods.analogy.tokens import TokenFit, token_answers
from likewise.methods.analogy.trial import map_at, shifted
from likewise.methods.analogy.truth import drawn_enough
from likewise.methods.analogy.values import ValueFit, fit_values
from likewise.methods.base import PRESENCE_LEFT_OUT, Features, Memory, Method, MethodSettings, Preset, Query, RawPrediction
from likewise.methods.dense import as_grid, value_rows
from likewise.methods.patches import answer
from likewise.methods.prompts import PATCH_KINDS, patch_labels

READOUTS = ("tokens", "pixel", "conv")
_COPIES = 2  # of each example with dense targets
_FEW = 12  # examples, above which copies add little
_JUDGED = 0.5  # of a class's area that left-out prediction must have judged for its score to be told


@dataclass(frozen=True, kw_only=True)
class AnalogySettings(MethodSettings):
    """layers: blocks whose tokens are used, as quarters of a network of twelve; sides: working sizes to choose from, () for
    those that fit the labelled parts; pixels: longer side of the picture for fitted read-outs, 0 for what fits the parts;
    readouts: of `READOUTS`, those to choose from; pixel_steps, conv_steps: of fitting; most_classes: above it tokens alone;
    copies: altered copies of each example for dense targets, -1 for 2 where there are any and the support is small.
    """

    layers: tuple[int, ...] = (2, 5, 8, 11)
    sides: tuple[int, ...] = ()
    pixels: int = 0
    readouts: tuple[str, ...] = ("tokens", "pixel")
    pixel_steps: int = 300
    conv_steps: int = 200
    most_classes: int = 16
    copies: int = -1

    @classmethod
    def preset(cls, name: Preset) -> Self:
        """`fast`: one pass at 448, closed form only; `best`: the convolutional read-out too, minutes of fitting."""
        return {"fast": cls(sides=(448,), readouts=("tokens",)), "default": cls(), "best": cls(readouts=READOUTS)}[name]


class Analogy(Method):
    """See the top of the file."""

    name = "analogy"
    takes = frozenset({*PATCH_KINDS, LabelKind.DENSE, LabelKind.KEYPOINT})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE, OutputKind.DENSE, OutputKind.KEYPOINTS})
    Settings = AnalogySettings
    settings: AnalogySettings

    def settled(self, support: Support) -> Self:
        """With working sizes and the size of the picture from the size of the labelled parts, unless they were given."""
        scale = working_scale(support)
        sides, pixels = tuple(sorted(set(self.settings.sides))) or scale.sides, self.settings.pixels or scale.pixels
        if support.keypoints and not self.settings.sides and len(sides) == 1:
            sides = (sides[0], 2 * sides[0])
        few = bool(support.targets) and len(support) <= _FEW
        copies = self.settings.copies if self.settings.copies >= 0 else _COPIES * few
        return type(self)(dataclasses.replace(self.settings, sides=sides, pixels=pixels, copies=copies))

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """Four layers at every working size to choose from, with the picture; with a memory what the choice needs."""
        sides = self.settings.sides or (448, 896)
        if memory is None:
            pictures = bool({"pixel", "conv"} & set(self.settings.readouts))
        else:
            sides, pictures = tuple(memory.facts["sides"]), bool(memory.facts["pictures"])
        pixels, pictured = (self.settings.pixels or 512) if pictures else 0, sides[0]
        if memory is not None:
            sides = tuple(sorted({*sides, *memory.facts.get("point_sides", ())}))
        found = [FeatureSpec(layers=self.settings.layers, side=side, tile=TILE, pixels=pixels if side == pictured else 0) for side in sides]
        copies = range(1, self.settings.copies + 1) if memory is None else ()
        return (*found, *(FeatureSpec(layers=self.settings.layers, side=sides[0], tile=TILE, copy=copy) for copy in copies))

    def learn(self, support: Support, features: Features) -> Memory:
        """What was fitted, what left-out prediction chose, and what it found."""
        places = sorted(range(len(support)), key=lambda place: (support.examples[place].digest, support.examples[place].name))
        support = support.subset(places)
        features = {spec: [items[place] for place in places] for spec, items in features.items()}
        whole = image_folds(support)
        tensors: dict[str, Tensor] = {}
        own = {spec: items for spec, items in features.items() if not spec.copy}
        sides = [spec.side for spec in own]
        facts: dict[str, Any] = {"side": sides[0], "sides": sides[:1], "pictures": False, "left_out": {}, "links": {}, "settled": _settled(support, sides)}
        if support.classes.names:
            self._learn_classes(support, own, whole, tensors, facts)
        if support.targets:
            self._learn_targets(support, features, whole, tensors, facts)
        if support.keypoints:
            fit, told = learn_points(support, own, whole)
            tensors |= {f"points.{key}": tensor for key, tensor in fit.tensors().items()}
            facts["points"], facts["point_sides"] = sorted(support.keypoints), sorted(fit.scores)
            facts["left_out"] |= told
        return Memory({name: tensor.contiguous() for name, tensor in tensors.items()}, facts)

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits on the grid of patches or at the size of the picture, dense components on the grid of patches."""
        wishes = self.wants(memory)
        return [self._answer({spec.side: features[spec][place] for spec in wishes}, memory) for place in range(len(queries))]

    def expecting(self, memory: Memory, shift: Tensor) -> Memory:
        """The memory with every curve of presence moved by a shift (N,) of its log-odds; UsageError for one that knows no classes."""
        if "presence" not in memory.tensors:
            return super().expecting(memory, shift)
        curves = memory.tensors["presence"] + torch.stack([torch.zeros_like(shift), shift], dim=1)
        return Memory({**memory.tensors, "presence": curves}, memory.facts)

    def _learn_classes(self, support: Support, features: Features, whole: Sequence[int | None], tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Add what was learned of the classes to tensors and facts."""
        names = list(support.classes.names.values())
        order = [0, *sorted(range(1, len(names) + 1), key=lambda place: names[place - 1])]
        masks = drawn_enough(support)
        steps = {"pixel": self.settings.pixel_steps, "conv": self.settings.conv_steps}
        wanted = [name for name in steps if name in self.settings.readouts and masks and len(names) <= self.settings.most_classes]
        learned = learn_classes(support, features, whole, order, {name: steps[name] for name in wanted}, forced="tokens" not in self.settings.readouts)
        pictures = any(name in learned.fitted for name in learned.chosen.parts)
        used = [name for name in learned.tokens if pictures or name in learned.chosen.parts]
        for name in used:
            tensors |= {f"{name}.{key}": tensor for key, tensor in learned.tokens[name].tensors().items()}
        for name, fit in learned.fitted.items():
            if name in learned.chosen.parts:
                tensors |= {f"{name}.{key}": tensor for key, tensor in fit.tensors.items()}
        tensors["seen"] = torch.stack([fit.seen for fit in learned.tokens.values()]).any(0)
        first = next(items for spec, items in features.items() if f"tokens {spec.side}" == used[0])
        reference, sources = reference_of(first, patch_labels(support, first), whole, order)
        tensors |= {f"reference.{key}": tensor for key, tensor in reference.tensors().items()}
        tensors |= {f"texture.{key}": tensor for key, tensor in texture_of(first, whole).tensors().items()}
        left_out = _left_out_scores(support, learned, first, whole, reference, sources)
        tensors["presence"], facts["calibration"] = _presence(support, *left_out)
        facts[PRESENCE_LEFT_OUT] = presence.by_class(*left_out, tensors["presence"], names)
        sides = [int(name.split()[1]) for name in used]
        facts |= {"side": sides[-1], "sides": sides, "pictures": pictures, "order": order, "parts": dict(learned.chosen.parts)}
        facts |= {"offset": learned.verdict.offset, "sharpness": learned.sharpness, "strengths": learned.strengths}
        facts["choice"] = _choice(learned)
        facts["left_out"] |= _report(support, learned, whole)

    def _learn_targets(self, support: Support, features: Features, whole: Sequence[int | None], tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Add what was learned of dense targets to tensors and facts; copies of an example are left out with it."""
        groups = [items for spec, items in features.items() if spec.side == facts["side"]]
        mirrored = [alteration(spec.copy).mirrored for spec in features if spec.side == facts["side"] for _ in support.examples]
        items = [item for group in groups for item in group]
        folds = [patch_folds(item.grid, fold) for item, fold in zip(items, list(whole) * len(groups), strict=True)]
        repeated = support.subset(list(range(len(support))) * len(groups))
        for name in support.targets:
            rows = value_rows(repeated, items, name, mirrored)
            values = fit_values(rows, folds)
            if values.link == "count":
                facts.setdefault("usual", {})[name] = float((rows.values * rows.weight[:, None]).sum() / rows.weight.sum())
            tensors |= {f"dense.{name}.{key}": tensor for key, tensor in values.fit.tensors().items()}
            facts["links"][name] = values.link
            told = {"link": values.link, "strengths": values.strengths, "share": float(values.fit.share), "strange": values.strange}
            facts["left_out"][name] = {"error": round(values.error, 4), **told}

    def _answer(self, items: Mapping[int, ImageFeatures], memory: Memory) -> RawPrediction:
        facts, item = memory.facts, items[memory.facts["side"]]
        points = _points(items, memory)
        items = {side: items[side] for side in facts["sides"]}
        tokens = item.joined()
        answers = {name: ValueFit.of(_under(memory, f"dense.{name}.")).answers(tokens) for name in facts["links"]}
        dense = {name: as_grid(self._anchored(name, *found, memory), item, facts["links"][name]) for name, found in answers.items()}
        confidence = min((self._trust(name, strange, memory) for name, (_, strange) in answers.items()), default=1.0)
        confidence = min([confidence, *(max(p, 1 - p) for _, _, p in points.values())])
        if "parts" not in facts:
            return dataclasses.replace(answer(None, item.grid, dense=dense, links=facts["links"], confidence=confidence), keypoints=points)
        maps = _steadied(_class_answers(items, memory), items, memory)
        logits = facts["sharpness"] * shifted(maps, facts["offset"])
        logits = torch.where(memory.tensors["seen"][:, None, None], logits, -torch.inf)
        rows = logits.flatten(1).T
        shape = (logits.shape[1], logits.shape[2])
        evidence = _evidence(torch.softmax(logits, dim=0), items, memory)
        here = presence.said(evidence, memory.tensors["presence"], memory.tensors["seen"][1:])
        judge = partial(quality.expected, evidence=evidence)
        found = answer(rows, shape, presence=here, judge=judge, dense=dense, links=facts["links"], confidence=confidence)
        return dataclasses.replace(found, keypoints=points)

    @staticmethod
    def _anchored(name: str, components: Tensor, strange: float, memory: Memory) -> Tensor:
        """Components (P, C); of a count the nearer to the usual one of the examples, the stranger the image is than left-out patches were.

        A count adds up what is wrong in every patch: one image of dark cells found 500 in bright ones that hold 50.
        """
        usual = memory.facts.get("usual", {}).get(name)
        if usual is None:
            return components
        familiar = min(1.0, memory.facts["left_out"][name]["strange"] / max(strange, 1e-9)) ** 2
        return familiar * decode(components, "count") + (1 - familiar) * usual

    @staticmethod
    def _trust(name: str, strange: float, memory: Memory) -> float:
        """1 less the error to expect of a dense target here: the left-out one, times how much stranger the image is than left-out patches were."""
        facts = memory.facts["left_out"][name]
        return float(max(0.0, 1.0 - facts["error"] * max(strange / max(facts["strange"], 1e-9), 0.1)))


def _points(items: Mapping[int, ImageFeatures], memory: Memory) -> dict[str, Point]:
    """The keypoints of an image; none where none were learned."""
    if "points" not in memory.facts:
        return {}
    return dict(zip(memory.facts["points"], PointFit.of(_under(memory, "points.")).points(items), strict=True))


def _class_answers(items: Mapping[int, ImageFeatures], memory: Memory) -> Tensor:
    """The answers (C, h, w) of the chosen read-outs, averaged on the finest grid among them."""
    facts = memory.facts
    maps = {}
    for side, item in items.items():
        fit = TokenFit.of(_under(memory, f"tokens {side}."))
        maps[f"tokens {side}"] = token_answers(item.joined(), fit).T.reshape(-1, *item.grid)
    if facts["pictures"]:
        scene = scene_of(next(iter(items.values())), list(maps.values()), facts["order"])
        back = torch.argsort(torch.tensor(facts["order"]))
        for name in facts["parts"]:
            if name not in maps:
                maps[name] = fitted_answers(name, scene, _under(memory, f"{name}."))[back]
    parts = {name: maps[name] for name in facts["parts"]}
    finest = max((tuple(part.shape[1:]) for part in parts.values()), key=lambda grid: grid[0] * grid[1])
    return torch.stack([facts["parts"][name] * map_at(part, finest) for name, part in parts.items()]).sum(0)


def _steadied(maps: Tensor, items: Mapping[int, ImageFeatures], memory: Memory) -> Tensor:
    """The answers (C, h, w), changed as far as the image is unlike the support."""
    side = memory.facts["sides"][0]
    texture = Texture.of(_under(memory, "texture."))
    if texture is None:
        return maps
    reference, fit = Reference.of(_under(memory, "reference.")), TokenFit.of(_under(memory, f"tokens {side}."))
    return steadied(maps, texture.strangeness(items[side]), items[side], reference, fit)


def _evidence(probabilities: Tensor, items: Mapping[int, ImageFeatures], memory: Memory) -> Evidence:
    """What an image with these probabilities (N+1, h, w) shows of each class."""
    return evidence_of(probabilities, items[memory.facts["sides"][0]], Reference.of(_under(memory, "reference.")))


def _under(memory: Memory, prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in memory.tensors.items() if name.startswith(prefix)}


def _settled(support: Support, sides: Sequence[int]) -> dict[str, Any]:
    return {"sides": list(sides), "because": working_scale(support).because}


def _choice(learned: Learned) -> list[dict[str, Any]]:
    """Every single read-out that was tried, its left-out IoU, and its weight in the answer."""
    weights = learned.chosen.parts
    return [{"readout": name, "left_out": round(score, 4), "weight": round(weights.get(name, 0.0), 4)} for name, score in learned.alone.items()]


def _left_out_scores(
    support: Support, learned: Learned, features: Sequence[ImageFeatures], whole: Sequence[int | None], reference: Reference, sources: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores (E, N) of each class and whether it is there (E, N), NaN for unknown, of the examples that could be left out whole."""
    scores, present = [torch.zeros(0, len(support.classes))], [torch.zeros(0, len(support.classes))]
    for place, (example, fold) in enumerate(zip(support.examples, whole, strict=True)):
        gone = torch.tensor([whole[source] == fold for source in sources.tolist()])
        if fold is None or bool(gone.all()):
            continue
        probabilities = torch.softmax(learned.sharpness * shifted(learned.chosen.map(place), learned.verdict.offset), dim=0)
        scores.append(presence.score(evidence_of(probabilities, features[place], reference.without(gone)))[None])
        known = [example.labels.present(number) for number in support.classes]
        present.append(torch.tensor([[torch.nan if value is None else float(value) for value in known]]))
    return torch.cat(scores), torch.cat(present)


def _presence(support: Support, scores: Tensor, present: Tensor) -> tuple[Tensor, dict[str, str]]:
    """Slope and shift (N, 2) of the presence of each class, from left-out scores (E, N); and what moved each curve, if anything did."""
    moved = [presence.adjust(*column) for column in zip(scores.T, present.T, strict=True)]
    told = {name: "support" if moved[place] != (1.0, 0.0) else "shipped" for place, name in enumerate(support.classes.names.values())}
    return torch.tensor(moved), told


def _report(support: Support, learned: Learned, whole: Sequence[int | None]) -> dict[str, dict[str, Any]]:
    """For each class its left-out IoU (None if too little of it could be left out), how it was left out, its number of images."""
    found = {}
    for place, (number, name) in enumerate(support.classes.names.items(), start=1):
        shown = support.showing(number)
        if shown:
            by = "images" if any(whole[index] is not None for index in shown) else "blocks"
            known = not bool(learned.verdict.iou[place].isnan()) and float(learned.judged[place]) >= _JUDGED
            found[name] = {"iou": round(float(learned.verdict.iou[place]), 4) if known else None, "by": by, "images": len(shown)}
    return found
