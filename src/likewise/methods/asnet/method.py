"""ASNet: segmentation by attention over correlations of several layers (Kang and Cho 2022, "Integrative Few-Shot Learning").

learn    of each image that shows a class all places of all layers, scaled to length 1, and the mask of each (class, image)
predict  one pass over the network; correlations with these places, squeezed by attention to those under the mask level by level

See `methods.pyramids` for what it shares with HSNet: networks, several classes and images, settings. A learner that was trained by
image-level labels alone sees no masks (`support = "none"`).

Limits: every image is squashed to a square; of a mask without area in the small grid of a level, all places count alike; the learner must
be trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from likewise.layers.correlation_pyramid import LARGE, PyramidLearner, pooled_support, unit
from likewise.methods.asnet.checkpoint import learner_in
from likewise.methods.asnet.model import layers_for, untrained
from likewise.methods.pyramids import PyramidMethod


class Asnet(PyramidMethod):
    """See the top of the file."""

    name = "asnet"
    masks_support = False

    @classmethod
    def learner_in(cls, tensors: Mapping[str, Tensor]) -> PyramidLearner:
        """ASNet's learner in a checkpoint."""
        return learner_in(tensors)

    @classmethod
    def untrained(cls, channels: Sequence[int], sides: Sequence[int], seed: int = 0) -> PyramidLearner:
        """ASNet's learner with initial numbers."""
        return untrained(channels, sides, seed)

    @classmethod
    def squeeze_for(cls, side: int) -> Any:
        """The layers of a level."""
        return layers_for(side)

    @classmethod
    def shown(cls, levels: Sequence[Tensor], mask: Tensor | None) -> list[Tensor]:
        """The maps, large ones pooled, at length 1; masks act later."""
        del mask
        return [unit(pooled_support(level)) for level in levels]

    @classmethod
    def support_sides(cls, sides: Sequence[int]) -> list[int]:
        """Large maps are halved."""
        return [(side + 1) // 2 if side >= LARGE else side for side in sides]
