"""Targets: the dense quantities of a support, with their units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from likewise.errors import InputError, close_match

TargetKind = Literal["real", "log", "angle", "unit_vector", "vector", "heatmap", "density", "soft_mask"]
DIRECTED: Final = ("unit_vector", "vector")  # kinds whose first channel points right: mirroring an image turns its sign
KEYPOINT: Final = "keypoint:"  # begins the names of targets that the program makes of keypoints; no person's target may


@dataclass(frozen=True)
class Target:
    """A named dense quantity.

    unit: shown and written beside every value ("mm"); scale: one stored step in `unit` when written as whole numbers
    (16-bit PNG); invalid: the stored value that means "unknown"; range: limits that predictions are clipped to.

    kind, how values behave: "real"; "log", positive, where relative errors count; "angle", which turns round, in radians
    or, with the unit "deg", in degrees; "unit_vector", directions such as normals; "vector", flow and the like, x right and
    y down; "heatmap" and "soft_mask", 0 to 1 or within `range`; "density", a count a pixel whose sum is the count.
    """

    unit: str = ""
    kind: TargetKind = "real"
    scale: float = 1.0
    invalid: float | None = None
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(TargetKind):
            raise InputError(f"there is no kind of target {self.kind!r}", where="Target.kind", remedy=close_match(str(self.kind), get_args(TargetKind)))
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale is {self.scale}", where="Target.scale", remedy="Give a finite number above 0")
        if self.range is not None:
            low, high = self.range
            if not low < high:
                raise InputError(f"range is ({low}, {high})", where="Target.range", remedy="Give (low, high) with low < high")
            object.__setattr__(self, "range", (float(low), float(high)))

    @property
    def limits(self) -> tuple[float, float]:
        """What values are clipped to: the range, else what the kind allows."""
        if self.range is not None:
            return self.range
        return {"heatmap": (0.0, 1.0), "soft_mask": (0.0, 1.0), "density": (0.0, math.inf)}.get(self.kind, (-math.inf, math.inf))
