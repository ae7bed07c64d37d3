"""PFENet: a trained network that refines where a class may be, at several sizes (Tian et al. 2020, "Prior Guided Feature Enrichment Network for
Few-Shot Segmentation").

learn    of each class a vector, the mean of reduced features under its masks, and of each of its images the deep features under the mask
predict  one pass over the network; how like each place is to the likest of the deep features (the prior), then vector, prior and
         reduced features of the query go through a pyramid of maps

A published checkpoint brings its network, a dilated ResNet. One that was trained here on tokens reads three layers of the program's backbone
(ours): two joined as the middle features, the last as the deep ones. Several classes are joined as in few-shot classification and
segmentation (Kang and Cho 2022): the background is the mean of the classes', a class is there if some place is likelier its than not.

Limits: every image is squashed to a square; the network must be trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.backbones.resnet import ResNet
from likewise.data import LabelKind, OutputKind, Support
from likewise.errors import InputError, UsageError
from likewise.functional.calibration import PRESENT_FROM
from likewise.functional.frame_losses import log_maps
from likewise.functional.resize import resize_nearest
from likewise.layers.fscs import merge_backgrounds
from likewise.methods.base import Features, Memory, Method, MethodSettings, Query, RawPrediction
from likewise.methods.patches import answer
from likewise.methods.pfenet.checkpoint import is_original, learner_in, network_of, renamed
from likewise.methods.pfenet.maps import Maps, deep_under, picture_of, stages, token_maps, token_mask
from likewise.methods.pfenet.model import PfenetLearner, prior, scrambled, support_vector, under, untrained
from likewise.methods.prompts import PatchLabels, labels_for_masks
from likewise.methods.pyramid_levels import spec_of
from likewise.methods.pyramid_weights import BACKBONE

if TYPE_CHECKING:
    from likewise.backbones.registry import Backbone
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

SQUARE, ORIGINAL_SQUARE = 400, 473  # sides as published: of iFSL, of the original on Pascal-5i


@dataclass(frozen=True, kw_only=True)
class PfenetSettings(MethodSettings):
    """The settings of PFENet.

    side: of the square that every image becomes, 400 in iFSL, 473 in the original on Pascal-5i (641 on COCO-20i); bins: sides of the pyramid's
    maps, () for the map's own and halves of it, as published for these but for 641, where it is 60, 30, 15, 8; official: the published answer, in
    which several classes share one prior made of a scrambled support, and masks weigh as much as the number of their class.
    """

    side: int = SQUARE
    bins: tuple[int, ...] = ()
    official: bool = False


class Pfenet(Method):
    """See the top of the file."""

    name = "pfenet"
    takes = frozenset({LabelKind.MASK})
    gives = frozenset({OutputKind.MASKS, OutputKind.PRESENCE})
    trained = True
    keeps_checkpoint = False
    Settings = PfenetSettings
    settings: PfenetSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings)
        self._checkpoint = checkpoint

    def equipped(self, checkpoint: Mapping[str, Tensor] | None) -> Self:
        """This method with the tensors of a checkpoint; with None untrained ones, whose sizes the backbone gives."""
        found = type(self)(self.settings, checkpoint)
        if checkpoint is not None:
            _ = found._trained, found.network  # what is wrong with the tensors is said here
            if found.settings.bins and len(found.settings.bins) != found._trained.bins:
                raise UsageError(
                    f"setting 'bins' has {len(found.settings.bins)} sides, the checkpoint {found._trained.bins}", where=self.name, remedy="Leave `bins` out"
                )
        return found

    def reads_backbone(self) -> bool:
        """False for a checkpoint with a network of its own."""
        return self.network is None

    def mounted(self, backbone: Backbone) -> Self:
        """This method, where a checkpoint fits the backbone. Raises InputError where not."""
        if self._checkpoint is not None and self.network is None and self._trained.channels != 2 * backbone.config.width:
            raise InputError(
                f"the checkpoint reads {self._trained.channels} channels, two layers of the backbone have {2 * backbone.config.width}",
                where="checkpoint",
                remedy="Take the backbone that it was trained on",
            )
        return self

    @classmethod
    def converted(cls, official_tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """Learner and network of a published checkpoint, or a network alone, to begin a training from."""
        del config
        found = renamed(official_tensors)
        if any(not name.startswith(BACKBONE) for name in found):
            learner_in(found)
        network_of(found)
        return found

    @classmethod
    def published(cls, official_tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published behaviour; the backbone lies in the checkpoint."""
        del config
        return {"official": True, "side": ORIGINAL_SQUARE if is_original(official_tensors) else SQUARE}, ""

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """The learner under training; see `training.PfenetTrainingSettings`."""
        from likewise.methods.pfenet.training import trainable

        return trainable(backbone, settings, seed, start)

    def wants(self, memory: Memory | None = None) -> tuple[FeatureSpec, ...]:
        """The square picture where the checkpoint brings its network; else all layers of the program's, and heads, the wish of CST."""
        return (self._spec,)

    def learn(self, support: Support, features: Features) -> Memory:
        """The vector of each class (N, W), and the deep features (D, S) under the mask of each (class, image)."""
        own, numbers = features[self._spec], support.classes.numbers
        pairs = [(place, index) for place, number in enumerate(numbers) for index in support.showing(number)]
        labels = labels_for_masks(support, own, pairs, tokens=self.network is None)
        vectors: list[list[Tensor]] = [[] for _ in numbers]
        tensors: dict[str, Tensor] = {}
        deep: list[Tensor] = []
        with torch.inference_mode():
            for place, index in pairs:
                weight = float(place + 1) if self.settings.official and _knows_all(support) else 1.0
                masks = weight * self._mask(support, place, index, labels, own[index].grid)[None]
                maps = self._maps(own[index], deep=False)
                vectors[place].append(support_vector(self._learner(maps).down_supp(maps.middle), masks)[0])
                shown = maps.deep if self.network is None else deep_under(self.network.stages()[3], maps, masks)
                deep.append(under(shown, masks))
            shared = self._shared(deep, [place for place, _ in pairs], len(numbers))
            for name, places in shared.items() if shared else ((f"pair.{pair}", one) for pair, one in enumerate(deep)):
                kept = (places != 0).any(dim=1)[0]
                tensors |= {f"{name}.deep": places[0][:, kept].clone(), f"{name}.others": ~kept.all()}
            width = next((len(one) for own in vectors for one in own), 1)
            means = [torch.stack(found).mean(dim=0) if found else torch.zeros(width) for found in vectors]
            tensors["vectors"] = torch.stack(means).clone()
        return Memory(tensors, {"pair_class": [place for place, _ in pairs], "shared": len(shared)})

    def predict(self, queries: Sequence[Query], features: Features, memory: Memory) -> list[RawPrediction]:
        """Logits and presence of every query at the size of the network's maps."""
        with torch.inference_mode():
            return [self._answer(item, memory) for item in features[self._spec]]

    @cached_property
    def network(self) -> ResNet | None:
        """The network of the checkpoint, None where it has none."""
        return None if self._checkpoint is None else network_of(self._checkpoint)

    @cached_property
    def _trained(self) -> PfenetLearner:
        assert self._checkpoint is not None
        return learner_in(self._checkpoint)

    @cached_property
    def _spec(self) -> FeatureSpec:
        return spec_of(self.settings.side, own_backbone=self.network is not None)

    def _learner(self, maps: Maps) -> PfenetLearner:
        """The trained learner, else an untrained one for so many channels."""
        return self._trained if self._checkpoint is not None else _untrained(maps.middle.shape[1])

    def _maps(self, item: ImageFeatures, *, deep: bool = True) -> Maps:
        return token_maps(item) if self.network is None else stages(self.network, picture_of(item), deep=deep)

    def _mask(self, support: Support, place: int, index: int, labels: Sequence[PatchLabels] | None, grid: tuple[int, int]) -> Tensor:
        """The mask of a class in an image, of 0 and 1: (side, side), of tokens (h, w); the whole image where nothing tells."""
        mask = torch.from_numpy(support.examples[index].labels.mask(support.classes.numbers[place]).astype("float32"))
        if self.network is not None:
            size = (self.settings.side, self.settings.side)
            return resize_nearest(mask, size) if mask.any() else torch.ones(size)
        if mask.any() or labels is None:
            return token_mask(mask, grid)
        return token_mask(labels[index].shares[:, place + 1].reshape(grid), grid)

    def _shared(self, deep: Sequence[Tensor], owners: Sequence[int], count: int) -> dict[str, Tensor]:
        """The supports that all classes share officially, one for each image of a class; none where there is one class, or not officially."""
        if not self.settings.official or count == 1:
            return {}
        ways = [[one for one, place in zip(deep, owners, strict=True) if place == each] for each in range(count)]
        if len({len(way) for way in ways}) > 1:
            raise InputError(
                f"the classes have {', '.join(str(len(way)) for way in ways)} images, the published code has equally many of each",
                where="support",
                remedy="Give as many of each, or leave `official` out",
            )
        return {f"shot.{k}": scrambled(torch.cat(shot)) for k, shot in enumerate(zip(*ways, strict=True))}

    def _answer(self, item: ImageFeatures, memory: Memory) -> RawPrediction:
        maps = self._maps(item)
        learner = self._learner(maps)
        query, vectors = learner.down_query(maps.middle), memory.tensors["vectors"]
        owners = memory.facts["pair_class"]
        size, count = (query.shape[-2], query.shape[-1]), len(vectors)
        together = self._prior(maps.deep, memory, [f"shot.{k}" for k in range(memory.facts["shared"])]) if memory.facts["shared"] else None
        found: dict[int, Tensor] = {}
        for place in sorted(set(owners)):
            own = together if together is not None else self._prior(maps.deep, memory, [f"pair.{k}" for k, each in enumerate(owners) if each == place])
            logits, _ = learner(query, vectors[place][None], own, self.settings.bins, auxiliary=False)
            found[place] = log_maps(logits)[0]
        merged, presence = torch.full((1 + count, *size), -torch.inf), torch.zeros(count)
        merged[0] = 0.0
        if found:
            places = torch.tensor(list(found))
            joined = merge_backgrounds(torch.stack(list(found.values()))[None], size)[0]
            merged[0], merged[places + 1] = joined[0], joined[1:]
            presence[places] = joined[1:].flatten(1).amax(dim=1).exp().clamp(max=1)
        if self.settings.official:
            presence = (presence >= PRESENT_FROM).float()
        rows = answer(merged.flatten(1).T, size, presence=presence)
        return replace(rows, corners=True, gated=not self.settings.official)

    def _prior(self, query: Tensor, memory: Memory, names: Sequence[str]) -> Tensor:
        """The mean of the priors (1, 1, h, w) of supports."""
        own = [prior(query, memory.tensors[f"{name}.deep"][None], others=bool(memory.tensors[f"{name}.others"])) for name in names]
        return torch.stack(own).mean(dim=0)


def _knows_all(support: Support) -> bool:
    """Whether no pixel of a support is to be ignored: then the published code has no map of such, and the number of a class weighs."""
    return not any((example.labels.label_map < 0).any() for example in support.examples if example.labels.label_map is not None)


@lru_cache(maxsize=2)
def _untrained(channels: int) -> PfenetLearner:
    """An untrained learner, made once."""
    return untrained(channels).requires_grad_(False)
