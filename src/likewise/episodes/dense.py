"""Dense episodes for meta-training: a target, pictures as support and queries, and their maps of it in 0..1.

A target is a class that people drew ("mask"), or made from the pictures themselves (`functional.picture_targets`), then
altered and mixed with another so that hardly two episodes ask the same. Every episode follows from its index and a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from likewise.episodes.lists import ImageList
from likewise.episodes.opening import open_benchmark
from likewise.errors import InputError, UsageError, close_match
from likewise.formats.scan import is_image, walk
from likewise.functional.label_augmentation import Mixed, drawn, mixup
from likewise.functional.picture_targets import PICTURE_TARGETS
from likewise.functional.resize import resize_nearest

MASK = "mask"
FAMILIES = (MASK, *PICTURE_TARGETS)
PICTURES = "pictures:"


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
    """A channel of a family; of masks its number is that of the class."""

    family: str
    channel: int


@dataclass(frozen=True)
class DenseEpisode:
    """A target by name: pictures of support and queries, perhaps a second target to mix it with, a seed for how both are altered (None: not)."""

    target: DenseTarget
    support: tuple[str, ...]
    query: tuple[str, ...]
    partner: DenseTarget | None = None
    altered: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All pictures, the support first."""
        return (*self.support, *self.query)


@dataclass(frozen=True, kw_only=True)
class DenseEpisodes:
    """The episodes of a list of pictures, each drawn when it is asked for, from its index and the seed alone.

    families: from which a target is drawn, all alike, then its channel or class; shot, query: how many pictures; altered:
    change labels as Kim et al. 2023 do; mixed: chance of being mixed with a second target of the families that are made
    from pictures (official: always, with its own mirror image).
    """

    images: ImageList
    families: tuple[str, ...]
    shot: int
    query: int
    length: int
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
        if MASK in self.families and not classes:
            raise InputError(f"no class has masks in {need} pictures", where="dense", remedy="Leave the target 'mask' out, or ask for fewer shots")
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_classes", classes)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> DenseEpisode:
        if not 0 <= index < self.length:
            raise IndexError(index)
        random = np.random.RandomState([self.seed, index])
        target = self._target(random, self.families)
        listed = self._names if target.family != MASK else sorted(set(self.images.by_class[target.channel]))
        chosen = [listed[place] for place in random.choice(len(listed), self.shot + self.query, replace=False)]
        others = [name for name in self.families if name != MASK]
        partner = self._target(random, others) if others and random.random_sample() < self.mixed else None
        altered = int(random.randint(2**31)) if self.altered else None
        return DenseEpisode(target, tuple(chosen[: self.shot]), tuple(chosen[self.shot :]), partner, altered)

    def _target(self, random: np.random.RandomState, families: Sequence[str]) -> DenseTarget:
        family = families[random.randint(len(families))]
        if family == MASK:
            return DenseTarget(MASK, self._classes[random.randint(len(self._classes))])
        return DenseTarget(family, int(random.randint(PICTURE_TARGETS[family].channels)))


def dense_maps(episode: DenseEpisode, pictures: Pictures, side: int) -> tuple[Tensor, Tensor]:
    """The labels of an episode's pictures, made `side` pixels square: values in 0..1 and known (0 or 1), (S + Q, side, side) each, the support first."""
    own = _made(episode.target, episode.names, pictures, side)
    random = None if episode.altered is None else np.random.RandomState(episode.altered)
    if random is not None:
        own = _altered(own, random)
    if episode.partner is not None:
        other = _made(episode.partner, episode.names, pictures, side)
        share = 0.5 if random is None else random.random_sample()
        own = mixup(own, other if random is None else _altered(other, random), share)
    return own.label * own.known, own.known


def _altered(mixed: Mixed, random: np.random.RandomState) -> Mixed:
    label = mixed.label
    for change in drawn(random):
        label = change(label)
    return Mixed(label, mixed.known)


def _made(target: DenseTarget, names: Sequence[str], pictures: Pictures, side: int) -> Mixed:
    """A target of pictures: (N, side, side) each."""
    size = (side, side)
    if target.family == MASK:
        labels = torch.stack([resize_nearest(torch.from_numpy(pictures.labels(name).astype(np.int32)), size) for name in names])
        return Mixed((labels == target.channel).float(), (labels != VOID).float())
    views = np.stack([squash_image(pictures.image(name), size) for name in names])
    values, known = PICTURE_TARGETS[target.family].make(torch.from_numpy(views).movedim(-1, 1).float() / 255)
    return Mixed(values[:, target.channel], known[:, target.channel])


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
