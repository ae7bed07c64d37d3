"""The frame of the learners as classifiers of whole pictures: what differs between them is what `fit` keeps and how `scores` reads it.

learn    features of the examples, of a frozen backbone or of a checkpoint's encoder; what the learner keeps of them; a temperature and, where
         asked for, a threshold for "none of these", both from examples that were left out of learning
predict  features of the picture, the learner's scores, probabilities

Without a checkpoint the features are ours, nothing is trained: the class token and the mean patch token of the backbone's last layer, joined,
without the support's mean, of length 1. Examples that say that no class is there (tags that are all False) teach "none of these" alone.

Letters: E examples, S supports (examples that show a class), N classes of which n have supports, B queries, D width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from likewise.backbones.encoders import NAMES, new_encoder
from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError, WeightsError, close_match
from likewise.functional.class_choice import NoneRule, fit_none, fit_temperature
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.classifiers.published import encoder_settings, with_encoder
from likewise.methods.classifiers.reading import PIXELS, backbone_wish, centred, encoder_wish, opened_encoder, pictures, side_of, whole_vectors, whole_wish

NONE_SHOWN = -1  # in place of a class: the example shows none of them
REJECT = 0.05  # the share of pictures of the classes that may be refused, where there are examples of none of them
_CHECKPOINT = "checkpoint."


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(MethodSettings):
    """What all learners share.

    encoder: "" for the backbone, else the name of the encoder that the checkpoint holds; pixels: how its pictures are normalised, see
    `reading.pictures`; whole: nothing is cut from pictures, and drawings are brought to size by nearest neighbours (Snell et al. 2017, Sung et al.
    2018), else they are the middle of 1.15 times as much (Chen et al. 2019); side: the working size, 0 for 224 on a backbone and the encoder's
    own else; reject: the share of pictures of the classes that may be said to show none of them, 0 for never, None for 0.05 where some examples
    show none, else 0; temperature: divides scores, None for one fitted to left-out examples where a class has two, else `usual_temperature` on a backbone and 1
    of the published scores.
    """

    encoder: str = ""
    pixels: str = "imagenet"
    whole: bool = False
    side: int = 0
    reject: float | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("encoder", ("", *NAMES)), ("pixels", PIXELS)):
            if getattr(self, name) not in known:
                raise UsageError(f"setting {name!r} is {getattr(self, name)!r}", where=type(self).__qualname__, remedy=close_match(getattr(self, name), known))
        if self.reject is not None and not (isinstance(self.reject, int | float) and 0 <= self.reject < 1):
            raise UsageError(f"setting 'reject' is {self.reject!r}", where=type(self).__qualname__, remedy="Give a share from 0 to 1, 0.05 for example")
        if self.temperature is not None and not (isinstance(self.temperature, int | float) and self.temperature > 0):
            raise UsageError(f"setting 'temperature' is {self.temperature!r}", where=type(self).__qualname__, remedy="Give a number above 0")


class LeftOut(NamedTuple):
    """Logits (m, n), classes (m,) and distances from the nearest class (m,) of examples that were left out of learning."""

    logits: Tensor
    labels: Tensor
    distances: Tensor


class PictureClassifier(Method):
    """See the top of the file."""

    takes = frozenset({LabelKind.CLASS, LabelKind.TAG})
    gives = frozenset({OutputKind.CLASS, OutputKind.PRESENCE})
    optional_checkpoint = True
    Settings = ClassifierSettings
    settings: ClassifierSettings
    beside: ClassVar[tuple[str, ...]] = ()  # how tensors begin that a published checkpoint holds beside the encoder
    reads_maps: ClassVar[bool] = False
    usual_temperature: ClassVar[float] = 1.0  # on a backbone with one example a class: what fitted the 28 training classes of caltech_mini best
    folds: ClassVar[int] = 10  # left-out predictions learn so many times at most

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings)
        vars(self)["trained"] = type(self).trained or bool(self.settings.encoder)  # with an encoder, which the card of a checkpoint names, it needs one
        self._checkpoint = checkpoint
        self._held: tuple[tuple[Tensor, ...], nn.Module] | None = None  # the encoder that was built last, and the tensors that it was built of

    @abstractmethod
    def fit(self, features: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is kept of features (S, ...) of classes (S,), each of which has some; network: the tensors of the checkpoint, {} without."""

    @abstractmethod
    def scores(self, features: Tensor, kept: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, n) of features (B, ...)."""

    def distances(self, features: Tensor, logits: Tensor, kept: Mapping[str, Tensor]) -> Tensor:
        """How far (B,) each of the features is from the nearest class, for "none of these"; by default the negative of its best logit (B, n)."""
        del features, kept
        return -logits.amax(dim=1)

    def nearer(self, count: Tensor, without: Tensor) -> Tensor:
        """What distances (m,) of left-out examples are multiplied with to be those from classes with all their examples; by default 1.

        count, without: (m,) examples of the class in all, and in the round in which some were left out.
        """
        del without
        return torch.ones_like(count, dtype=torch.float32)

    def untrained(self) -> dict[str, Tensor]:
        """The tensors that "random" stands for: an encoder that is always the same."""
        return dict(new_encoder(self.settings.encoder, seed=0).state_dict())

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the encoder of a checkpoint. UsageError where the settings ask for the program's backbone."""
        if not self.settings.encoder:
            raise UsageError(
                f"{self.name} reads the program's backbone unless an encoder is named",
                where="checkpoint",
                remedy=f"Add `--set encoder=NAME` ({', '.join(NAMES)}), or leave the checkpoint out",
            )
        return self._with(checkpoint)

    def _with(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with tensors that were checked; copies, since those of a task that learns again are of inference alone."""
        tensors = {name: tensor.clone() for name, tensor in (self.untrained() if checkpoint is None else checkpoint).items()}
        self.check(tensors)
        return type(self)(self.settings, tensors)

    def check(self, network: Mapping[str, Tensor]) -> None:
        """WeightsError for tensors that are not those of this method's networks."""
        opened_encoder(self.settings.encoder, network)

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The encoder of a published checkpoint, and what else of it this learner reads."""
        del config
        return with_encoder(official, cls.beside)

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The encoder that a published checkpoint holds, as far as its tensors tell; there is no backbone."""
        del config
        return encoder_settings(official, maps=cls.reads_maps), ""

    def reads_backbone(self) -> bool:
        """Whether features of a backbone are asked for; False where the checkpoint brings the one network that is run."""
        return not type(self).trained and not self.settings.encoder

    def checkpoint_in(self, memory: Memory) -> Mapping[str, Tensor]:
        """The checkpoint's tensors."""
        return _under(memory.tensors, _CHECKPOINT)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The last layer, or the square picture for an encoder that was brought along."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """What the learner keeps, `centre` (D,) of features of a backbone, `seen` (n,): the places of the classes that have examples.

        Examples are taken by the hash of their pictures, and classes as they appear so, so that no order of a person's matters.
        """
        order = sorted(range(len(support)), key=lambda index: (support.examples[index].digest, support.examples[index].name))
        shown = shown_places(support)
        kept_order = [index for index in order if shown[index] != NONE_SHOWN]
        strange = [index for index in order if shown[index] == NONE_SHOWN]
        seen = list(dict.fromkeys(shown[index] for index in kept_order))
        if not seen:
            raise InputError("no example shows a class", where="support", remedy="Give at least one image of a class")
        network = dict(self._checkpoint or {})
        own = features[self._spec]
        rows = self._features([own[index] for index in kept_order], network)
        labels = torch.tensor([seen.index(shown[index]) for index in kept_order])
        centre, own_rows = self._centred(rows)
        kept = self.fit(own_rows, labels, len(seen), network)
        away = rows.new_zeros(0)
        if strange:
            others = self._features([own[index] for index in strange], network)
            others = others if centre is None else centred(others, centre)
            away = self.distances(others, self.scores(others, kept, network), kept)
        names = [support.classes[support.classes.numbers[place]] for place in seen]
        facts = self._judged(self._left_out(rows, labels, len(seen), network), away, names)
        tensors = {**kept, "seen": torch.tensor(seen), **({} if centre is None else {"centre": centre})}
        tensors |= {_CHECKPOINT + name: tensor for name, tensor in network.items()}
        return Memory({name: tensor.clone() for name, tensor in tensors.items()}, {"classes": len(support.classes), **facts})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """The probability of every class, 0 for those without examples; what is left to 1 is that of none of them."""
        tensors, facts, network = memory.tensors, memory.facts, self.checkpoint_in(memory)
        rows = self._features(features[self._spec], network)
        rows = centred(rows, tensors["centre"]) if "centre" in tensors else rows
        logits = self.scores(rows, tensors, network)
        probabilities = torch.zeros(len(rows), facts["classes"])
        probabilities[:, tensors["seen"]] = torch.softmax(logits / facts["temperature"], dim=1)
        none = facts["none"]
        away = self.distances(rows, logits, tensors)
        strange = NoneRule(none["threshold"], none["width"]).probability(away) if none else torch.zeros(len(rows))
        probabilities *= (1 - strange)[:, None]
        sure = torch.maximum(probabilities.amax(dim=1), strange)
        return [RawPrediction(None, each, confidence=float(how), probabilities=each) for each, how in zip(probabilities, sure, strict=True)]

    @property
    def _spec(self) -> FeatureSpec:
        own = self.settings
        if not own.encoder:
            return backbone_wish(own.side)
        return whole_wish(own.encoder, own.side) if own.whole else encoder_wish(own.encoder, own.side)

    def _features(self, items: Sequence[ImageFeatures], network: Mapping[str, Tensor]) -> Tensor:
        """Vectors (B, D) of the backbone, or what the encoder gives."""
        own = self.settings
        if self.reads_backbone():
            return whole_vectors(items)
        if not network:
            raise WeightsError(f"{self.name} has no network", where="checkpoint", remedy="Give a checkpoint")
        shown = pictures(items, self.side, next(kind for kind in PIXELS if kind == own.pixels), whole=own.whole)
        return self.encoded(shown, network)

    @property
    def side(self) -> int:
        """The side in pixels of the pictures that the encoder sees."""
        return self.settings.side or side_of(self.settings.encoder)

    def encoded(self, shown: Tensor, network: Mapping[str, Tensor]) -> Tensor:
        """What the checkpoint's encoder makes of normalised pictures (B, 3, side, side)."""
        tensors = tuple(network.values())
        held = self._held
        if held is None or len(held[0]) != len(tensors) or any(one is not other for one, other in zip(held[0], tensors, strict=True)):
            held = self._held = tensors, opened_encoder(self.settings.encoder, network)  # building a ResNet-18 takes half as long as a batch
        found: Tensor = held[1](shown)
        return found

    def _centred(self, rows: Tensor) -> tuple[Tensor | None, Tensor]:
        """The mean (D,) of a support's features (S, D) of a backbone and these without it; None and the features as they are of an encoder."""
        if not self.reads_backbone():
            return None, rows
        centre = rows.mean(dim=0)
        return centre, centred(rows, centre)

    def _left_out(self, rows: Tensor, labels: Tensor, n_way: int, network: Mapping[str, Tensor]) -> LeftOut:
        """What is said of supports that were left out of learning, of classes with two or more; in up to `folds` rounds."""
        member = torch.nn.functional.one_hot(labels, n_way)
        rank = (member.cumsum(dim=0) * member).sum(dim=1) - 1  # the how-manieth of its class
        several = member.sum(dim=0)[labels] > 1
        rounds = min(self.folds, int(member.sum(dim=0).max()))
        found = [LeftOut(rows.new_zeros(0, n_way), labels[:0], rows.new_zeros(0))]
        for fold in range(rounds if rounds > 1 else 0):
            out = several & (rank % rounds == fold)
            if bool(out.any()):
                centre, others = self._centred(rows[~out])
                kept = self.fit(others, labels[~out], n_way, network)
                asked = rows[out] if centre is None else centred(rows[out], centre)
                logits = self.scores(asked, kept, network)
                factor = self.nearer(member.sum(dim=0)[labels[out]], member[~out].sum(dim=0)[labels[out]])
                found.append(LeftOut(logits, labels[out], factor * self.distances(asked, logits, kept)))
        return LeftOut(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _judged(self, left_out: LeftOut, strange: Tensor, names: Sequence[str]) -> dict[str, Any]:
        """What left-out predictions say: the temperature, the accuracy of every class, and the rule for "none of these".

        strange: (k,) the distances of examples that show none; names: of the n classes.
        """
        right = left_out.logits.argmax(dim=1) == left_out.labels
        told = {}
        for place, name in enumerate(names):
            own = right[left_out.labels == place]
            told[name] = {"accuracy": round(float(own.float().mean()), 6) if len(own) else None, "by": "images", "images": len(own)}
        fitted = len(right) > 0 and len(names) > 1
        chosen, usual = self.settings.temperature, self.usual_temperature if self.reads_backbone() else 1.0
        return {
            "left_out": told,
            "temperature": float(chosen) if chosen is not None else fit_temperature(left_out.logits, left_out.labels) if fitted else usual,
            "temperature_by": "setting" if chosen is not None else "left-out examples" if fitted else "nothing" if usual == 1 else "other pictures",
            "none": self._none(left_out.distances, strange),
        }

    def _none(self, known: Tensor, strange: Tensor) -> dict[str, Any] | None:
        """The rule for "none of these" and what it does to the examples; known, strange: distances of left-out examples and of those of none."""
        rate = self.settings.reject if self.settings.reject is not None else REJECT if len(strange) else 0.0
        if not rate:
            return None
        if not len(known) and not len(strange):
            raise InputError(
                "nothing says from where on a picture shows none of the classes",
                where="reject",
                remedy="Give two images of a class at least, or some that show none of them, or leave reject out",
            )
        rule = fit_none(known, strange, float(rate))
        refused = [int((each >= rule.threshold).sum()) for each in (known, strange)]
        return {
            "rate": float(rate),
            "threshold": rule.threshold,
            "width": rule.width,
            "left_out": len(known),
            "left_out_refused": refused[0],
            "strange": len(strange),
            "strange_refused": refused[1],
        }


def shown_places(support: Support) -> list[int]:
    """The place of the class that each example shows, -1 for none of them. InputError for an example of two classes, or of which nothing is known."""
    found = []
    for example in support.examples:
        said = [example.labels.present(number) for number in support.classes.numbers]
        shown = [place for place, there in enumerate(said) if there]
        if len(shown) > 1:
            names = " and ".join(repr(support.classes[support.classes.numbers[place]]) for place in shown[:3])
            raise InputError(
                f"it shows {names}, and one class an image is learned here", where=example.name, remedy="Leave it out, or name the one that counts"
            )
        if not shown and False not in said:
            raise InputError("it says of no class that it is there or not", where=example.name, remedy="Give it a label, or tag the classes as absent")
        found.append(shown[0] if shown else NONE_SHOWN)
    return found


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
