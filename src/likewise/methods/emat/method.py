"""EMAT: few-shot classification and segmentation by many correlation tokens and a lean transformer (GCPR 2025, arXiv 2507.23642).

How it learns and predicts stands in `methods.correlating`. It is CST with larger pictures (700 pixels of a ViT-S/14, 50x50 tokens), more
support tokens (a square of 20x20) and fewer trained numbers (86,020). Masks are taken as they are; all other labels through `methods.prompts`.

Limits: every image is squashed to a square; the learner must be trained; a picture takes seconds at the published size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from likewise.backbones.features import ImageFeatures
from likewise.data import LabelKind
from likewise.errors import UsageError
from likewise.layers.correlation import unit_support
from likewise.methods.base import MethodSettings
from likewise.methods.correlating import CorrelatingMethod, CorrelatingSettings, heads_of
from likewise.methods.emat.checkpoint import learner_of, learner_tensors
from likewise.methods.emat.model import POOLS, SIDE, Learner, untrained

if TYPE_CHECKING:
    from likewise.backbones.vit import VitConfig
    from likewise.methods.trainable import Trainable

BACKBONE, BACKBONE_SHAPE = "dinov2-small", (384, 3, 14, 14)  # the published one, known by its patches


@dataclass(frozen=True, kw_only=True)
class EmatSettings(CorrelatingSettings):
    """The settings of EMAT besides those of `CorrelatingSettings`; the defaults are those of the published code.

    square, pools: the side of the square of support tokens, and the pooling behind the halving in each layer of the transformer.
    class_token: an untrained learner with a class token and a classification head, or without; of a trained one its checkpoint says it.
    """

    side: int = 700
    square: int = SIDE
    pools: tuple[int, ...] = POOLS
    class_token: bool = True
    tile: int = 128


class Emat(CorrelatingMethod):
    """See the top of the file."""

    name = "emat"
    takes = frozenset({LabelKind.MASK})
    Settings = EmatSettings
    settings: EmatSettings

    def __init__(self, settings: MethodSettings | None = None, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(settings, checkpoint)
        check_squares(self.settings.square, self.settings.pools)

    @classmethod
    def converted(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The learner's tensors of a Lightning checkpoint; those of the backbone, which is frozen, are left out."""
        del config
        found = learner_tensors(official)
        learner_of(found)
        return found

    @classmethod
    def published(cls, official: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published settings, in full; the backbone is DINOv2 without registers where its tensors lie beside the learner's."""
        del config
        patches = official.get("backbone.patch_embed.proj.weight")
        plain = patches is not None and patches.shape == BACKBONE_SHAPE and "backbone.register_tokens" not in official
        return {name: getattr(EmatSettings(), name) for name in ("side", "square", "pools")}, BACKBONE if plain else ""

    @classmethod
    def trainable(cls, backbone: VitConfig, settings: Mapping[str, Any], *, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> Trainable[Any]:
        """The learner under training; see `training.EmatTrainingSettings`."""
        from likewise.methods.emat.training import trainable

        return trainable(backbone, settings, seed, start)

    def _untrained(self, channels: int) -> Learner:
        return untrained(channels, self.settings.square, self.settings.pools, class_token=self.settings.class_token)

    def _opened(self, checkpoint: Mapping[str, Tensor]) -> Learner:
        return learner_of(checkpoint, side=self.settings.square, pools=self.settings.pools)

    def _support_tokens(self, item: ImageFeatures, learner: Learner) -> Tensor:
        return support_tokens(item, learner)


def support_tokens(item: ImageFeatures, learner: Learner) -> Tensor:
    """What a learner correlates a query with: (1, L, A, S, d) of length 1, the class token first where it takes one."""
    found = unit_support(item.prefix[None, :, 0].float(), item.tokens[None].float(), item.grid, learner.side, heads_of(item))
    return found if learner.class_token else found[..., 1:, :]


def check_squares(square: int, pools: Sequence[int], where: str = "emat") -> None:
    """UsageError where halving and pooling do not bring the square of support tokens to one."""
    try:
        with torch.device("meta"):
            Learner(16, square, pools, (16,) * len(pools))
    except (ValueError, IndexError, RuntimeError) as error:
        raise UsageError(f"{error}", where=where, remedy=f"Take square={SIDE} and pools={list(POOLS)}, or square=12 and pools=[0, 3]") from error
