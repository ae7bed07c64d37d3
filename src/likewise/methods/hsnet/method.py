"""HSNet: segmentation by squeezing correlations of several layers (Min et al. 2021, "Hypercorrelation Squeeze for Few-Shot Segmentation").

learn    of each (class, image) the places of all layers that the class's mask leaves, scaled to length 1
predict  one pass over the network; correlations with these places, squeezed by centre-pivot 4-D convolutions level by level

See `methods.pyramids` for what it shares with ASNet: networks, several classes and images, settings.

Limits: every image is squashed to a square; the learner must be trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from likewise.layers.correlation_pyramid import PyramidLearner, masked, unit
from likewise.methods.hsnet.checkpoint import ORIGINAL, is_original, learner_in
from likewise.methods.hsnet.model import kernels_for, untrained
from likewise.methods.pyramid_weights import official
from likewise.methods.pyramids import PyramidMethod


class Hsnet(PyramidMethod):
    """See the top of the file."""

    name = "hsnet"
    masks_support = True

    @classmethod
    def learner_in(cls, tensors: Mapping[str, Tensor]) -> PyramidLearner:
        """HSNet's learner in a checkpoint."""
        return learner_in(tensors)

    @classmethod
    def untrained(cls, channels: Sequence[int], sides: Sequence[int], seed: int = 0) -> PyramidLearner:
        """HSNet's learner with initial numbers."""
        return untrained(channels, sides, seed)

    @classmethod
    def squeeze_for(cls, side: int) -> Any:
        """The kernels of a level."""
        return kernels_for(side)

    @classmethod
    def shown(cls, levels: Sequence[Tensor], mask: Tensor | None) -> list[Tensor]:
        """The maps times the mask, at length 1; 0 outside."""
        return [unit(level if mask is None else masked(level[None], mask[None])[0]) for level in levels]

    @classmethod
    def renamed(cls, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A published checkpoint by our names, also one of the original network for segmentation alone."""
        return official(published, ORIGINAL) if is_original(published) else official(published)

    @classmethod
    def published(cls, official_tensors: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """The published behaviour, of the original network that of segmentation alone."""
        settings, backbone = super().published(official_tensors, config)
        return settings | {"frame": "fss" if is_original(official_tensors) else "fscs"}, backbone
