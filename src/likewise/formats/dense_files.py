"""Dense maps as files of their own: NAME.TARGET.png of 16 bits or NAME.TARGET.npy, with NAME.TARGET.json beside it.

The side file says how stored numbers become values (`value = stored * scale + offset`), in which unit, and which stored
number means "unknown". A map goes into a PNG if it has one channel, its values fit 16 bits in steps of the target's
`scale` (or of its `range`), and half a step is at most half a per cent of the median value; else into a NumPy array.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from likewise.data import Target
from likewise.data.target import TargetKind
from likewise.errors import InputError
from likewise.formats.files import MAX_JSON, inside, json_bytes, read_json, sniffed, validate
from likewise.formats.maps import Encoding
from likewise.formats.pixels import grey_png
from likewise.formats.scan import walk

UNKNOWN = 65_535  # the stored number for NaN
_STEPS = 65_534
_TOLERANCE = 0.005
_HEAD = 4096  # bytes in which the first two keys stand
_SIDE_NAME = re.compile(r".+\.[^.]+\.json$")


class SideFile(BaseModel):
    """The side file of a dense map."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    likewise: Literal[1]
    target: str
    file: str
    unit: str = ""
    kind: TargetKind = "real"
    scale: float = Field(default=1.0, gt=0)
    offset: float = 0.0
    invalid: float | None = None
    range: tuple[float, float] | None = None


def suffixes(targets: Mapping[str, Target]) -> list[str]:
    """What is put after NAME for each file that may be written for some dense map."""
    return [f".{safe_name(name)}{ending}" for name in targets for ending in (".png", ".npy", ".json")]


def safe_name(target: str) -> str:
    """A target's name as part of a file name.

    >>> safe_name("surface normals/x")
    'surface_normals_x'
    """
    return re.sub(r"[^\w-]", "_", target)


def encode(stem: str, name: str, values: NDArray[np.floating], target: Target) -> dict[str, bytes]:
    """File name -> content of a dense map (H, W) or (H, W, C) and its side file; `stem` is the NAME of both."""
    plane = values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values
    scale, offset = _steps(target)
    base = f"{stem}.{safe_name(name)}"
    about: dict[str, object] = {"likewise": 1, "target": name, "unit": target.unit, "kind": target.kind}
    if target.range is not None:
        about["range"] = list(target.range)
    if plane.ndim == 2 and _fits(plane, scale, offset):
        stored = np.where(np.isnan(plane), UNKNOWN, np.rint((np.nan_to_num(plane) - offset) / scale)).astype(np.uint16)
        about |= {"file": f"{Path(base).name}.png", "scale": scale, "offset": offset, "invalid": UNKNOWN}
        return {f"{base}.png": grey_png(stored), f"{base}.json": json_bytes(about)}
    stream = io.BytesIO()
    np.save(stream, np.asarray(plane, np.float32), allow_pickle=False)
    return {f"{base}.npy": stream.getvalue(), f"{base}.json": json_bytes(about | {"file": f"{Path(base).name}.npy"})}


def described(folder: Path) -> dict[str, dict[str, tuple[Target, Encoding, Path]]]:
    """NAME -> target -> (target, encoding, file) for every side file under a folder."""
    found: dict[str, dict[str, tuple[Target, Encoding, Path]]] = {}
    for relative in walk(folder, lambda name: _SIDE_NAME.match(name) is not None):
        path = folder / relative
        head = sniffed(path, MAX_JSON, _HEAD)
        if not (b'"likewise"' in head and b'"target"' in head):
            continue
        side = validate(SideFile, read_json(path), path)
        if not relative.endswith(f".{safe_name(side.target)}.json"):
            raise InputError(f"it describes {side.target!r}", where=str(path), remedy=f"Name it NAME.{safe_name(side.target)}.json")
        name = relative[: -len(f".{safe_name(side.target)}.json")]
        target = Target(unit=side.unit, kind=side.kind, scale=side.scale, range=side.range)
        found.setdefault(name, {})[side.target] = (target, Encoding(side.scale, side.offset, side.invalid), inside(path.parent, side.file, str(path)))
    return found


def _steps(target: Target) -> tuple[float, float]:
    """(scale, offset) of stored numbers."""
    if target.range is None:
        return target.scale, 0.0
    low, high = target.range
    return (target.scale if target.scale != 1 else (high - low) / _STEPS), low


def _fits(plane: NDArray[np.floating], scale: float, offset: float) -> bool:
    known = plane[np.isfinite(plane)]
    if not known.size:
        return True
    stored = (known - offset) / scale
    fine = offset != 0 or scale / 2 <= _TOLERANCE * float(np.median(np.abs(known)))
    return fine and float(stored.min()) >= -0.5 and float(stored.max()) <= _STEPS + 0.5
