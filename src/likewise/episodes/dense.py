"""Dense episodes for meta-training: targets, pictures as support and queries, and their maps of these in 0..1.

A target is made from a class that people drew (`functional.mask_targets`), from the pictures themselves (`picture_targets`) or
from their tokens (`token_fields`), then altered and mixed with another so that hardly two episodes ask the same. Every
episode follows from its index and a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data.geometry import squash_image
from likewise.data.images import ImageSource, read_image
from likewise.episodes.benchmark import Benchmark, Part
from likewise.episodes.items import VOID
from likewise.episodes.kept import Kept
from likewise.episodes.lists import ImageList
from likewise.episodes.opening import open_benchmark
from likewise.errors import InputError, UsageError, close_match
from likewise.formats.scan import is_image, walk
from likewise.functional.label_augmentation import Mixed, drawn, mixup
from likewise.functional.mask_targets import MASK_TARGETS
from likewise.functional.picture_targets import PICTURE_TARGETS
from likewise.functional.resize import resize_nearest

MASK, FIELD = "mask", "field"
FAMILIES = (*MASK_TARGETS, *PICTURE_TARGETS, FIELD)
PICTURES = "pictures:"
KEPT = 1536 << 20  # bytes of maps that are kept in memory: 50,000 a channel of 224 x 224 pixels
_UNKNOWN, _STEPS = 255, 254  # as which maps are kept


class Pictures(Protocol):
    """What dense episodes need of a benchmark: pictures by name, and class numbers where masks are asked for."""

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        ...

    def labels(self, name: str) -> NDArray[np.integer]:
        """Class numbers (H, W), 255 where the truth is unknown."""
        ...


@dataclass(frozen=True)
class DenseTarget:
    """A channel of a family; number: the class of what is made from masks, the seed of a field, else 0."""

    family: str
    channel: int = 0
    number: int = 0


@dataclass(frozen=True)
class DenseChannel:
    """What one channel of an episode asks for: a target, perhaps a second one to mix it with, a seed for how both are altered (None: not)."""

    target: DenseTarget
    partner: DenseTarget | None = None
    altered: int | None = None

    @property
    def chance(self) -> bool:
        """Whether its values are the chance of something being there."""
        return self.target.family in MASK_TARGETS and MASK_TARGETS[self.target.family].chance


@dataclass(frozen=True)
class DenseEpisode:
    """Targets by name, and the pictures of support and queries, which they share."""

    channels: tuple[DenseChannel, ...]
    support: tuple[str, ...]
    query: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All pictures, the support first."""
        return (*self.support, *self.query)


@dataclass(frozen=True, kw_only=True)
class DenseEpisodes:
    """The episodes of a list of pictures, each drawn when it is asked for, from its index and the seed alone.

    families: from which a target is drawn, all alike, then its channel; shot, query: how many pictures; channels: how many
    targets that share the pictures; altered: change labels as Kim et al. 2023 do; mixed: chance of being mixed with a second
    target of the families that need no mask (official: always, with its own mirror image). Where the first target needs masks,
    a class is drawn too: all pictures show it, and the other targets may be made from its masks.
    """

    images: ImageList
    families: tuple[str, ...]
    shot: int
    query: int
    length: int
    channels: int = 1
    seed: int = 0
    altered: bool = True
    mixed: float = 0.5
    _names: tuple[str, ...] = field(init=False, repr=False)
    _classes: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises UsageError for unknown families, InputError where pictures are too few."""
        for name in self.families:
            if name not in FAMILIES:
                raise UsageError(f"there is no target {name!r}", where="targets", remedy=close_match(name, FAMILIES))
        need = self.shot + self.query
        names = tuple(sorted({name for listed in self.images.by_class.values() for name in listed}))
        classes = tuple(number for number, listed in self.images.by_class.items() if number != VOID and len(set(listed)) >= need)
        if len(names) < need:
            raise InputError(f"there are {len(names)} pictures, an episode takes {need}", where="dense", remedy="Give more pictures, or ask for fewer shots")
        masked = [name for name in self.families if name in MASK_TARGETS]
        if masked and not classes:
            raise InputError(
                f"no class has masks in {need} pictures", where="dense", remedy=f"Leave the target {masked[0]!r} and its like out, or ask for fewer shots"
            )
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_classes", classes)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> DenseEpisode:
        if not 0 <= index < self.length:
            raise IndexError(index)
        random = np.random.RandomState([self.seed, index])
        others = [name for name in self.families if name not in MASK_TARGETS]
        first = self.families[random.randint(len(self.families))]
        number = self._classes[random.randint(len(self._classes))] if first in MASK_TARGETS else 0
        listed = sorted(set(self.images.by_class[number])) if first in MASK_TARGETS else self._names
        chosen = [listed[place] for place in random.choice(len(listed), self.shot + self.query, replace=False)]
        drawn = [first, *(random.choice(self.families if first in MASK_TARGETS else others) for _ in range(self.channels - 1))]
        channels = tuple(self._channel(random, str(family), number, others) for family in drawn)
        return DenseEpisode(channels, tuple(chosen[: self.shot]), tuple(chosen[self.shot :]))

    def _channel(self, random: np.random.RandomState, family: str, number: int, others: Sequence[str]) -> DenseChannel:
        target = _target(random, family, number)
        partner = _target(random, others[random.randint(len(others))]) if others and random.random_sample() < self.mixed else None
        return DenseChannel(target, partner, int(random.randint(2**31)) if self.altered else None)


def _target(random: np.random.RandomState, family: str, number: int = 0) -> DenseTarget:
    """A channel of a family, of the class `number` where it needs masks."""
    if family == FIELD:
        return DenseTarget(FIELD, 0, int(random.randint(2**31)))
    if family in MASK_TARGETS:
        return DenseTarget(family, int(random.randint(MASK_TARGETS[family].channels)), number)
    return DenseTarget(family, int(random.randint(PICTURE_TARGETS[family].channels)))


Made = Callable[[DenseTarget, Sequence[str]], Mixed]  # a target of pictures by name, (N, side, side) each


def dense_maps(episode: DenseEpisode, made: Made) -> tuple[Tensor, Tensor]:
    """The labels of an episode's pictures: values in 0..1 and known (0 or 1), (C, S + Q, side, side) each, the support first."""
    found = [_channel_maps(channel, episode.names, made) for channel in episode.channels]
    return torch.stack([each.label * each.known for each in found]), torch.stack([each.known for each in found])


def _channel_maps(channel: DenseChannel, names: Sequence[str], made: Made) -> Mixed:
    random = None if channel.altered is None else np.random.RandomState(channel.altered)
    own = made(channel.target, names)
    if random is not None:
        own = _altered(own, random)
    if channel.partner is None:
        return own
    other = made(channel.partner, names)
    share = 0.5 if random is None else random.random_sample()
    return mixup(own, other if random is None else _altered(other, random), share)


def _altered(mixed: Mixed, random: np.random.RandomState) -> Mixed:
    label = mixed.label
    for change in drawn(random):
        label = change(label)
    return Mixed(label, mixed.known)


class TargetMaps:
    """Targets of pictures, squares of `side` pixels, in 254 steps. Each is made once and kept, up to `limit` bytes in all."""

    def __init__(self, side: int, limit: int = KEPT) -> None:
        self._side = side
        self._kept = Kept[NDArray[np.uint8]](limit, lambda planes: planes.nbytes)

    def __call__(self, pictures: Pictures, target: DenseTarget, names: Sequence[str]) -> Mixed:
        """A target of pictures: (N, side, side) each. Not for fields, which are made of tokens."""
        planes = torch.from_numpy(np.stack([self._planes(pictures, target, name)[target.channel] for name in names]))
        known = planes != _UNKNOWN
        return Mixed(planes.float() * known / _STEPS, known.float())

    def _planes(self, pictures: Pictures, target: DenseTarget, name: str) -> NDArray[np.uint8]:
        """All channels of a target's family, (C, side, side), 255 where unknown."""

        def make() -> NDArray[np.uint8]:
            values, known = self._of_masks(pictures, target, name) if target.family in MASK_TARGETS else self._of_view(pictures, target.family, name)
            return torch.where(known > 0, (values * _STEPS).round(), _UNKNOWN)[0].byte().numpy()

        return self._kept((id(pictures), name, target.family, target.number), make)

    def _of_masks(self, pictures: Pictures, target: DenseTarget, name: str) -> tuple[Tensor, Tensor]:
        labels = resize_nearest(torch.from_numpy(pictures.labels(name).astype(np.int32)), (self._side, self._side))[None]
        return MASK_TARGETS[target.family].make((labels == target.number).float(), (labels != VOID).float())

    def _of_view(self, pictures: Pictures, family: str, name: str) -> tuple[Tensor, Tensor]:
        view = self._kept((id(pictures), name), lambda: squash_image(pictures.image(name), (self._side, self._side)))
        return PICTURE_TARGETS[family].make(torch.from_numpy(view.copy()).movedim(-1, 0)[None].float() / 255)


class PictureFolder:
    """A folder of pictures without labels, with those of its folders: nothing is known of them. See `Benchmark`."""

    folds = 1
    class_names: Mapping[int, str] = {}

    def __init__(self, folder: Path) -> None:
        """Raises InputError for a folder without pictures."""
        self.name, self._folder = folder.resolve().name, folder
        self._names = sorted(walk(folder, is_image))
        if not self._names:
            raise InputError("there are no pictures in it", where=str(folder), remedy="Name a folder with JPEG or PNG files")

    def images(self, part: Part, fold: int) -> ImageList:
        """All pictures, whatever the part: of the unknown class."""
        del part, fold
        return ImageList({VOID: self._names})

    def source(self, name: str) -> ImageSource:
        """The path of a picture."""
        return self._folder / name

    def image(self, name: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        return read_image(self._folder / name)

    def labels(self, name: str) -> NDArray[np.integer]:
        """Unknown everywhere."""
        return np.full(self.image(name).shape[:2], VOID, np.uint8)

    def check(self, names: Sequence[str]) -> None:
        """InputError for a picture that is gone since."""
        for name in names:
            if not (self._folder / name).is_file():
                raise InputError("the image is not there any more", where=str(self._folder / name), remedy="Put it back, or open the folder again")


def open_pictures(text: str) -> Benchmark:
    """The pictures that a text names: `pictures:FOLDER` of any pictures, else as `open_benchmark`."""
    return PictureFolder(Path(text.removeprefix(PICTURES))) if text.startswith(PICTURES) else open_benchmark(text)
