"""A folder of Taskonomy: which images of which buildings are there, and their files as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from likewise.episodes.taskonomy.sampling import BASE
from likewise.episodes.taskonomy.tasks import BUILDINGS, TASKS, Task
from likewise.errors import InputError

PICTURES = "rgb"
ENDING = "_domain_rgb.png"


@dataclass(frozen=True)
class TaskonomyFolder:
    """`<root>/rgb/<building>_point_<p>_view_<v>_domain_rgb.png`, labels likewise under the folder of their task."""

    root: Path

    @cached_property
    def images(self) -> dict[str, list[str]]:
        """The names of all pictures, sorted, by building. InputError where there is no folder of pictures."""
        folder = self.root / PICTURES
        if not folder.is_dir():
            raise InputError(
                "there is no folder of pictures", where=str(folder), remedy="Put the pictures of Taskonomy there (`likewise data check taskonomy`)"
            )
        found: dict[str, list[str]] = {}
        for name in sorted(path.name for path in folder.iterdir() if path.name.endswith(ENDING)):
            found.setdefault(building_of(name), []).append(name)
        return found

    def of_part(self, part: str) -> dict[str, list[str]]:
        """The pictures of the buildings of "train", "val" or "test" that are there, by building."""
        return {building: self.images[building] for building in BUILDINGS[part] if building in self.images}

    def sorted_images(self, parts: Iterable[str] = ("train",)) -> list[str]:
        """All pictures of some parts in one sorted list: what published permutations count through."""
        return sorted(name for part in parts for own in self.of_part(part).values() for name in own)

    def label_path(self, name: str, task: Task) -> Path:
        """Where the label of a picture lies; ValueError for a task whose labels are computed."""
        if not task.folder:
            raise ValueError(f"{task.name} has no files")
        return self.root / task.folder / name.replace(PICTURES, task.label)

    def stored(self, name: str, tasks: Iterable[str]) -> dict[str, NDArray[np.generic]]:
        """The arrays that `decoding.decode` needs for some tasks, of one picture, 256 pixels square, a leading axis of 1 each."""
        wanted = set(tasks)
        found = {PICTURES: _read(self.root / PICTURES / name, Image.Resampling.BILINEAR)}
        needed = {*wanted, "depth_euclidean"} if wanted - {"edge_texture", "segment_semantic", "normal", "keypoints2d", "reshading"} else wanted
        for task in sorted(needed - {"edge_texture"}):
            rule = Image.Resampling.NEAREST if TASKS[task].categorical else Image.Resampling.BILINEAR
            found[task] = _read(self.label_path(name, TASKS[task]), rule)
        return {key: array[None] for key, array in found.items()}


def building_of(name: str) -> str:
    """The building of a picture: what stands before the first underscore.

    >>> building_of("muleshoe_point_3_view_0_domain_rgb.png")
    'muleshoe'
    """
    return name.partition("_")[0]


def _read(path: Path, rule: Image.Resampling) -> NDArray[np.generic]:
    """An 8-bit or 16-bit file at 256 pixels square; colours keep three channels, others one plane."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("I") if opened.mode.startswith("I") else opened.convert("RGB" if opened.mode in ("RGB", "RGBA", "P") else "L")
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise InputError(f"it cannot be read: {error}", where=str(path), remedy="Fetch it again") from error
    if image.size != (BASE, BASE):
        image = image.resize((BASE, BASE), rule)
    return np.asarray(image)
