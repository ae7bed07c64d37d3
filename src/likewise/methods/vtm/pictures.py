"""How VTM sees a picture: at which size, and through which windows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.errors import UsageError
from likewise.functional.crops import Offset, cut, five_crops, windows
from likewise.methods.vtm.channels import Planes
from likewise.methods.vtm.crops import overlap_of


@dataclass(frozen=True)
class Sight:
    """Squares of `side` pixels; nearly: how many times longer than wide a picture may be to be seen as one; official: five crops."""

    side: int
    nearly: float
    official: bool

    @property
    def wish(self) -> FeatureSpec:
        """The picture at the working size: the networks are the method's own business."""
        if self.official:
            return FeatureSpec(backbone=None, squash=True, side=self.side * 8 // 7)
        return FeatureSpec(backbone=None, short=self.nearly, side=self.side)

    def windows(self, view: Tensor) -> tuple[list[Offset], tuple[int, int]]:
        """Where a view (3, h, w) is cut, and the (height, width) of the crops."""
        size, crop = (view.shape[-2], view.shape[-1]), (self.side, self.side)
        return (five_crops(size, crop) if self.official else windows(size, crop, overlap_of(self.side))), crop

    def cropped(self, view: Tensor, planes: Planes) -> tuple[Tensor, Planes]:
        """The crops that stand for an example: images (n, 3, h, w) and its planes (n, C, h, w)."""
        offsets, crop = self.windows(view)
        own = offsets[-1:] if self.official else offsets  # official: the one in the middle
        return cut(view, own, crop), Planes(cut(planes.values, own, crop), cut(planes.known, own, crop))


def as_image(item: ImageFeatures) -> Tensor:
    """The view of an image in 0..1: (3, h, w)."""
    if item.pixels is None:
        raise UsageError("the features have no pixels", where="vtm", remedy="Ask for what `wants` says")
    return item.pixels.float() / 255
