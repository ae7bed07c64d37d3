"""What training shares among the classic learners: episodes, batches and pairs of pictures, and the frame of a network under training.

Tensors of a checkpoint have the names of Chen et al. 2019: `feature.trunk.*` the encoder, beside it those of the learner.
Letters: N classes, K shots, Q queries a class, B pictures, H W pixels, D width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_args, runtime_checkable

import torch
from torch import Tensor, nn

from likewise.backbones.conv_encoders import Start
from likewise.backbones.encoders import NAMES, encoder_of, new_encoder
from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.errors import UsageError, close_match
from likewise.methods.base import Method, MethodSettings
from likewise.methods.classifiers.common import class_major
from likewise.methods.classifiers.reading import PIXELS, Pixels, encoder_wish, feature_shape, pictures
from likewise.methods.trainable import Kind, Trainable

Drawn = Literal["episodes", "batches", "pairs"]
Part = TypeVar("Part", bound=nn.Module)
FEATURE = "feature."


@dataclass(frozen=True)
class ImageEpisode:
    """Pictures as uint8: supports (N, K, 3, H, W), queries (N, Q, 3, H, W)."""

    support: Tensor
    query: Tensor

    @property
    def labels(self) -> Tensor:
        """The classes (N Q,) of the queries."""
        return class_major(*self.query.shape[:2]).to(self.query.device)


@dataclass(frozen=True)
class ImageBatch:
    """Pictures (B, 3, H, W) uint8 of all classes that train, and the class (B,) of each."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class ImagePairs:
    """Pairs of pictures, each (B, 3, H, W) uint8, and whether both (B,) are of one class, 1 or 0."""

    first: Tensor
    second: Tensor
    same: Tensor


@runtime_checkable
class ClassTrainable(Trainable[Kind], Protocol[Kind]):
    """A `Trainable` of pictures with a class each.

    drawn: what it is trained on; side: of its square pictures; n_way: the one number of classes that it can answer, None for any.
    """

    drawn: ClassVar[Drawn]

    @property
    def side(self) -> int:
        """The side of the square pictures."""
        ...

    @property
    def n_way(self) -> int | None:
        """How many classes an episode must have; None for any number."""
        ...

    def answers(self, episode: ImageEpisode) -> Tensor:
        """Scores (N Q, N) of the queries as the learner answers when it is used; nothing is trained."""
        ...


@dataclass(frozen=True, kw_only=True)
class PictureTrainingSettings(MethodSettings):
    """What every learner is told. side: of its square pictures; pixels: what they become, see `reading.pictures`."""

    side: int = 84
    pixels: Pixels = "imagenet"

    def check(self) -> None:
        """UsageError for names that are none."""
        _check_names(self, {"pixels": PIXELS})


@dataclass(frozen=True, kw_only=True)
class EncoderTrainingSettings(PictureTrainingSettings):
    """What every learner with an encoder is told besides.

    encoder: see `backbones.encoders` (published sides: 84, of drawings 28, of ResNets 224); first: whose first weights.
    """

    encoder: str = "conv4"
    first: Start = "closer_look"

    def check(self) -> None:
        """UsageError for names that are none."""
        super().check()
        _check_names(self, {"encoder": NAMES, "first": get_args(Start)})


def _check_names(settings: MethodSettings, known: Mapping[str, Sequence[str]]) -> None:
    for key, names in known.items():
        value = getattr(settings, key)
        if value not in names:
            raise UsageError(f"there is no {key} {value!r}", where=f"method.{key}", remedy=close_match(value, names))


class NetworkTraining:
    """A network under training whose `state_dict` is the checkpoint. See `ClassTrainable`."""

    drawn: ClassVar[Drawn] = "episodes"
    n_way: int | None = None

    def __init__(self, network: nn.Module, settings: PictureTrainingSettings) -> None:
        self.network, self.settings, self.side = network.train(), settings, settings.side

    def wants(self) -> tuple[FeatureSpec, ...]:
        """The square picture, of whose middle the network sees `side` pixels."""
        return (self.wish(),)

    def wish(self) -> FeatureSpec:
        """As the method wishes it."""
        assert isinstance(self.settings, EncoderTrainingSettings)
        return encoder_wish(self.settings.encoder, self.side)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The network's, those that are trained."""
        return (parameter for parameter in self.network.parameters() if parameter.requires_grad)

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def checkpoint(self) -> dict[str, Tensor]:
        """The network's tensors, running statistics among them."""
        return dict(self.network.state_dict())

    def method(self) -> Method | None:
        """The method with copies of the tensors as they are now; None for a learner that is none yet. Validation asks `answers`."""
        return None

    def told(self) -> dict[str, Any]:
        """The settings by which the method reads pictures as the network was trained on them."""
        assert isinstance(self.settings, EncoderTrainingSettings)
        return {"encoder": self.settings.encoder, "side": self.side, "pixels": self.settings.pixels}

    def copies(self) -> dict[str, Tensor]:
        """Copies of the checkpoint's tensors."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.checkpoint().items()}

    def answers(self, episode: ImageEpisode) -> Tensor:
        """Scores (N Q, N) in evaluation mode, so that an answer does not hang on the other queries."""
        self.network.eval()
        with torch.no_grad():
            found = self.scores(episode)
        self.network.train()
        return found

    @abstractmethod
    def scores(self, episode: ImageEpisode) -> Tensor:
        """Scores (N Q, N) of the queries of an episode."""

    def grouped(self, features: Tensor, like: Tensor) -> Tensor:
        """Features (N K, ...) class by class, as the pictures (N, K, 3, H, W) they are of: (N, K, ...)."""
        return features.reshape(*like.shape[:2], *features.shape[1:])

    def numbers(self, images: Tensor) -> Tensor:
        """What the network sees of pictures (..., 3, s, s) uint8, the middle of larger ones."""
        flat = images.flatten(0, -4)
        return pictures([_bare(one) for one in flat], self.side, self.settings.pixels).reshape(*images.shape[:-3], 3, self.side, self.side)

    def whole(self, episode: ImageEpisode) -> Tensor:
        """An episode (N, K+Q, 3, H, W) as networks take it."""
        return self.numbers(torch.cat([episode.support, episode.query], dim=1))


class EmbeddingTraining(NetworkTraining):
    """A network that sees each picture by itself first, and then compares: features of a picture may be kept between episodes."""

    @abstractmethod
    def embedded(self, numbers: Tensor) -> Tensor:
        """Features (B, ...) of pictures (B, 3, side, side) as the network sees them."""

    @abstractmethod
    def compared(self, supports: Tensor, queries: Tensor) -> Tensor:
        """Scores (M, N) of features of queries (M, ...) and of supports (N, K, ...)."""

    def scores(self, episode: ImageEpisode) -> Tensor:
        """Scores (N Q, N); supports and queries are one batch, which the norms see in training."""
        parts = [self.numbers(part).flatten(0, 1) for part in (episode.support, episode.query)]
        supports, queries = torch.split(self.embedded(torch.cat(parts)), [len(part) for part in parts])
        return self.compared(self.grouped(supports, episode.support), queries)

    def features(self, pictures: Tensor) -> Tensor:
        """Features (B, ...) of pictures (B, 3, side, side) uint8 in evaluation mode."""
        self.network.eval()
        with torch.no_grad():
            found = self.embedded(self.numbers(pictures))
        self.network.train()
        return found

    def answered(self, supports: Tensor, queries: Tensor) -> Tensor:
        """Scores (M, N) of `features` in evaluation mode."""
        self.network.eval()
        with torch.no_grad():
            found = self.compared(supports, queries)
        self.network.train()
        return found


def support_labels(supports: Tensor) -> Tensor:
    """The classes (N K,) of supports (N, K, ...)."""
    return class_major(*supports.shape[:2]).to(supports.device)


def _bare(picture: Tensor) -> ImageFeatures:
    nothing = picture.new_zeros(0)
    return ImageFeatures(nothing, nothing, (0, 0), (picture.shape[-2], picture.shape[-1]), pixels=picture)


def prefixed(prefix: str, part: nn.Module) -> dict[str, Tensor]:
    """The tensors of a part under its name in a checkpoint."""
    return {prefix + name: tensor for name, tensor in part.state_dict().items()}


def encoder_for(settings: EncoderTrainingSettings, seed: int, tensors: Mapping[str, Tensor] | None, *, maps: bool = False) -> nn.Module:
    """The encoder of settings, new by a seed or with the tensors of a checkpoint; torch's generator is left as it was.

    maps: whether the learner needs maps. UsageError for an encoder that does not give what the learner needs, and for settings that are none.
    """
    settings.check()
    network = new_encoder(settings.encoder, settings.first, seed=seed) if tensors is None else encoder_of(settings.encoder, tensors)
    if (len(feature_shape(network, settings.side)) == 3) != maps:
        wanted = "maps, conv4np or conv4snp for example" if maps else "rows, conv4 or conv4s for example"
        raise UsageError(f"{settings.encoder} does not give what the learner needs", where="method.encoder", remedy=f"Use an encoder of {wanted}")
    return network


def seeded(make: Callable[[], Part], seed: int) -> Part:
    """What `make` makes with first weights by a seed; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return make()
