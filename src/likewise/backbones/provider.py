"""The feature provider: the only place that runs a backbone.

It decodes, resizes, alters, cuts into tiles, picks the engine, times each stage, and hands the same pass to every method that asks for it.
Tokens are rounded to half precision at once, so that features from memory, disk or the engine are the same numbers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.backbones.alter import alteration, altered, placed_back, toned
from likewise.backbones.engines import Engine, engine_version, instruction_set, make_engine, padded_side
from likewise.backbones.features import FeatureSpec, ImageFeatures, StageTimes
from likewise.backbones.registry import Backbone, load_backbone
from likewise.backbones.store import FeatureStore, folder_of_environment
from likewise.backbones.tiles import Tiling, plan_tiles
from likewise.data.geometry import by_longer_side, fitted_size, resize_image, short_side, squash_image, working_grid
from likewise.data.images import ImageSource, image_digest, image_size, read_image
from likewise.errors import UsageError
from likewise.functional.debiasing import position_basis

_BLANKS = 16  # working shapes of which the directions of places are kept


@dataclass(frozen=True)
class Prepared:
    """An image at its working sizes: one view (h, w, 3) uint8 a wish, the (H, W) of the user's image, source and hash.

    pictures: (h, w, 3) uint8 for each wish that asks for pixels. Of a mirrored copy the view is mirrored, the picture is not.
    """

    source: ImageSource
    digest: str
    size: tuple[int, int]
    views: Mapping[FeatureSpec, NDArray[np.uint8]]
    pictures: Mapping[FeatureSpec, NDArray[np.uint8]] = field(default_factory=dict)


class FeatureProvider:
    """Features of images by one backbone, engine and device; wishes may name another backbone, which is opened when it is first asked for.

    cache: a folder for converted graphs; features: a folder or store for features on disk (None: the environment variable
    LIKEWISE_FEATURES, else none), for those who ask for the same images again and again.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        engine: str = "auto",
        device: torch.device | None = None,
        precision: str = "auto",
        cache: Path | None = None,
        features: Path | FeatureStore | None = None,
    ) -> None:
        self.backbone = backbone
        self.device = device or torch.device("cpu")
        self._wish, self._precision, self._cache = engine, precision, cache
        self._engines: dict[tuple[tuple[int, ...], bool, int], Engine] = {}
        self._others: dict[str, FeatureProvider] = {}
        self._positions: dict[tuple[tuple[int, int], FeatureSpec], Tensor] = {}
        folder = features or folder_of_environment()
        self.store = FeatureStore(folder) if isinstance(folder, Path) else folder

    def serving(self, spec: FeatureSpec) -> FeatureProvider:
        """The provider of the backbone that a wish names: this one, or another with the same engine and device. WeightsError where its weights are missing."""
        if spec.backbone in ("", None, self.backbone.name):
            return self
        if spec.backbone not in self._others:
            opened = load_backbone(spec.backbone)
            self._others[spec.backbone] = FeatureProvider(
                opened, engine=self._wish, device=self.device, precision=self._precision, cache=self._cache, features=self.store
            )
        return self._others[spec.backbone]

    def weights(self, specs: Sequence[FeatureSpec]) -> dict[str, dict[str, str]]:
        """Name and SHA-256 by role of all that serves wishes: "backbone", and "backbone NAME" for each other one."""
        others = {f"backbone {spec.backbone}": self.serving(spec).backbone for spec in specs if self.serving(spec) is not self}
        return {role: {"name": each.name, "sha256": each.sha256} for role, each in {"backbone": self.backbone, **others}.items()}

    def working_shape(self, size: tuple[int, int], spec: FeatureSpec) -> tuple[int, int]:
        """The (height, width) in pixels at which an image of `size` is shown to the backbone."""
        if spec.backbone is None:
            if spec.pad:
                return by_longer_side(size, spec.side)
            return (spec.side, spec.side) if spec.squash else short_side(size, spec.side, spec.short)
        patch = self.serving(spec).backbone.config.patch
        if spec.pad:
            return by_longer_side(size, spec.side)
        if spec.squash:
            cells = max(1, spec.side // patch)
            return cells * patch, cells * patch
        rows, columns = working_grid(size, spec.side, patch, step=spec.step)
        return rows * patch, columns * patch

    def prepare(self, source: ImageSource, specs: Sequence[FeatureSpec]) -> Prepared:
        """An image decoded once and resized for every wish; safe to call from several threads. Raises ImageError."""
        size = image_size(source)
        views = {spec: self.working_shape(size, spec) for spec in specs}
        pictures = {spec: fitted_size(size, spec.pixels) for spec in specs if spec.pixels}
        shapes = {*views.values(), *pictures.values()}
        enough = (max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)) if shapes else None
        digest = image_digest(source)  # first: of an array it makes a copy, which is gone before the next is made
        pixels = read_image(source, at_least=enough)
        plain = {*(shape for spec, shape in views.items() if not by_pil(spec)), *pictures.values()}
        resized = {shape: resize_image(pixels, shape) for shape in plain}
        squashed = {shape: squash_image(pixels, shape) for spec, shape in views.items() if by_pil(spec)}
        return Prepared(
            source,
            digest,
            size,
            {spec: altered((squashed if by_pil(spec) else resized)[shape], spec.copy) for spec, shape in views.items()},
            {spec: toned(resized[shape], spec.copy) for spec, shape in pictures.items()},
        )

    def extract(self, images: Sequence[Prepared], spec: FeatureSpec, times: StageTimes | None = None) -> list[ImageFeatures]:
        """Features of images, in order; those of one working shape go through the network together."""
        if spec.backbone is None:
            return [_bare(image, spec) for image in images]
        if (own := self.serving(spec)) is not self:
            return own.extract(images, spec, times)
        times = StageTimes() if times is None else times
        groups: dict[tuple[int, int, int], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault(_shape(image.views[spec]), []).append(index)
        found: dict[int, ImageFeatures] = {}
        for (height, width, _), group in groups.items():
            found |= zip(group, self._group([images[index] for index in group], spec, times), strict=True)
            if spec.debias:
                basis = self.positions((height, width), spec)
                found |= {index: replace(found[index], positions=basis) for index in group}
        return [found[index] for index in range(len(images))]

    def _group(self, images: Sequence[Prepared], spec: FeatureSpec, times: StageTimes) -> list[ImageFeatures]:
        """Features of images of one working shape: from the store, if there is one, else by the network."""
        if self.store is None:
            return self._made(images, spec, times)
        start = time.perf_counter()
        together = 1 if self.device.type == "cpu" else len(images)  # elsewhere an answer hangs on how many are beside it: all of them are read, or none
        names = [self._key(image, spec, together) for image in images]
        kept = [self._read(image, spec, name) for image, name in zip(images, names, strict=True)]
        missing = [place for place, one in enumerate(kept) if one is None]
        missing = list(range(len(images))) if missing and together > 1 else missing
        times.add("cache", time.perf_counter() - start)
        self.store.counts.hits += len(images) - len(missing)
        self.store.counts.misses += len(missing)
        made = dict(zip(missing, self._made([images[place] for place in missing], spec, times), strict=True)) if missing else {}
        start = time.perf_counter()
        for place, features in made.items():
            self.store.write(names[place], _tensors(features))
        times.add("cache", time.perf_counter() - start)
        found = [made.get(place, one) for place, one in enumerate(kept)]
        return [each for each in found if each is not None]

    def _made(self, images: Sequence[Prepared], spec: FeatureSpec, times: StageTimes) -> list[ImageFeatures]:
        """Features of images of one working shape by the network."""
        start = time.perf_counter()
        answers = self._run(np.stack([image.views[spec] for image in images]), spec)
        times.add("backbone", time.perf_counter() - start)
        return [self._features_of(image, spec, [answer[place] for answer in answers]) for place, image in enumerate(images)]

    def engine(self, spec: FeatureSpec) -> Engine:
        """The engine that serves a wish; made once for each choice of layers. UsageError where there is no network."""
        if self.backbone.name == "none":
            raise UsageError(
                "the method reads features of a backbone, and none is named", where="backbone", remedy="Name one (`likewise weights list`), or leave it out"
            )
        key = (spec.layers, spec.qk, padded_side(spec))
        if key not in self._engines:
            self._engines[key] = make_engine(self.backbone, spec, engine=self._wish, device=self.device, precision=self._precision, cache=self._cache)
        return self._engines[key]

    def positions(self, shape: tuple[int, int], spec: FeatureSpec) -> Tensor:
        """The directions (D, s) in which tokens of a black picture of (height, width) pixels differ most, s the wish's share of the width; one pass a shape.

        Raises UsageError where the share leaves none, or as many as there are.
        """
        key = (shape, replace(spec, copy=0, pixels=0))
        if key not in self._positions:
            blank = self._run(np.zeros((1, *shape, 3), np.uint8), spec)[0][0, -1, self.backbone.config.prefix :].float().cpu()
            try:
                found = position_basis(blank, round(spec.debias * blank.shape[1]))
            except ValueError as error:
                raise UsageError(str(error), where="debias", remedy="Take a share of the width between 0 and 1, or a larger working size") from error
            while len(self._positions) >= _BLANKS:
                self._positions.pop(next(iter(self._positions)))
            self._positions[key] = found
        return self._positions[key]

    def describe(self, spec: FeatureSpec) -> dict[str, str]:
        """What an answer depends on besides the weights: engine, precision, device, instruction set."""
        if spec.backbone is None:  # methods run their own networks by torch, on the CPU, as they are
            return {"engine": "torch", "precision": "float32", "device": "cpu", "instructions": instruction_set()}
        engine = self.serving(spec).engine(spec)
        return {"engine": engine.name, "precision": engine.precision, "device": self.device.type, "instructions": instruction_set()}

    def tiling(self, shape: tuple[int, int], spec: FeatureSpec) -> Tiling | None:
        """How a view of (height, width) pixels is cut; None if it goes through the network at once."""
        if not spec.tile or spec.side <= spec.tile:
            return None
        patch = self.backbone.config.patch
        most = (spec.tile // patch + 1) ** 2  # one patch of slack: rounded sides exceed the area by that
        return plan_tiles((shape[0] // patch, shape[1] // patch), most, spec.step)

    def _run(self, views: NDArray[np.uint8], spec: FeatureSpec) -> list[Tensor]:
        """What the engine says of views (B, H, W, 3); those to be cut go tile by tile, so that memory is that of a tile."""
        engine, tiling, config = self.engine(spec), self.tiling(views.shape[1:3], spec), self.backbone.config
        if tiling is None:
            return engine.run(views)
        images = []
        for view in views:
            kinds = zip(*(engine.run(tile[None]) for tile in tiling.cut(view, config.patch)), strict=True)
            images.append([tiling.join([tensor[0] for tensor in tiles], config.prefix) for tiles in kinds])
        return [torch.stack(kind) for kind in zip(*images, strict=True)]

    def _features_of(self, image: Prepared, spec: FeatureSpec, answers: Sequence[Tensor]) -> ImageFeatures:
        prefix, grid = self.backbone.config.prefix, self._grid(image, spec)
        patches = [placed_back(answer[:, prefix:], grid, spec.copy).clone() for answer in answers]
        q, k = patches[1:] or (None, None)
        first = torch.stack([answer[:, :prefix] for answer in answers[1:]]) if spec.qk else None
        return ImageFeatures(patches[0], answers[0][:, :prefix].clone(), grid, image.size, q, k, _pixels(image, spec), first)

    def _grid(self, image: Prepared, spec: FeatureSpec) -> tuple[int, int]:
        height, width = (spec.side, spec.side) if spec.pad else image.views[spec].shape[:2]
        return height // self.backbone.config.patch, width // self.backbone.config.patch

    def _key(self, image: Prepared, spec: FeatureSpec, together: int) -> str:
        """The name under which features are kept: a hash of image, working size, weights, layers, and of what runs them."""
        engine = self.engine(spec)
        view = image.views[spec].shape
        tiling = self.tiling((view[0], view[1]), spec)
        changes = (tiling, alteration(spec.copy) if spec.copy else None, "squash" if spec.squash else None, ("pad", spec.side) if spec.pad else None)
        special = [item for item in changes if item is not None]  # most views are neither cut, altered nor squashed
        runs = (engine.name, engine_version(engine.name), engine.precision, instruction_set() if self.device.type == "cpu" else (self.device.type, together))
        return hashlib.sha256(repr((image.digest, view, self.backbone.sha256, *runs, spec.layers, spec.qk, *special)).encode()).hexdigest()

    def _read(self, image: Prepared, spec: FeatureSpec, name: str) -> ImageFeatures | None:
        tensors = self.store.read(name) if self.store is not None else None
        if tensors is None:
            return None
        q, k, first = (tensors.get(name) for name in ("q", "k", "prefix_qk"))
        return ImageFeatures(tensors["tokens"], tensors["prefix"], self._grid(image, spec), image.size, q, k, _pixels(image, spec), first)


def by_pil(spec: FeatureSpec) -> bool:
    """Whether a wish asks for PIL's bilinear filter, as published methods that see squares do."""
    return spec.squash or spec.pad


def _shape(view: NDArray[np.uint8]) -> tuple[int, int, int]:
    height, width, depth = view.shape
    return height, width, depth


def _bare(image: Prepared, spec: FeatureSpec) -> ImageFeatures:
    """The view of a wish without a network: no tokens, its pixels alone."""
    nothing = torch.zeros(0, 0, 0, dtype=torch.float16)
    view = torch.from_numpy(image.views[spec].transpose(2, 0, 1).copy())
    return ImageFeatures(nothing, nothing, (0, 0), image.size, pixels=view)


def _pixels(image: Prepared, spec: FeatureSpec) -> Tensor | None:
    """The picture (3, h, w) of a wish for pixels, a copy of its own."""
    return torch.from_numpy(image.pictures[spec].transpose(2, 0, 1).copy()) if spec.pixels else None


def _tensors(features: ImageFeatures) -> dict[str, Tensor]:
    """What of features is kept: all but the picture, by name."""
    tensors = {name: getattr(features, name) for name in ("tokens", "prefix", "q", "k", "prefix_qk")}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}
