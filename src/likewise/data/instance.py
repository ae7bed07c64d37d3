"""One object: the pixels of a single thing of a class, kept as a patch, so that hundreds of them in a large image are cheap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.data.limits import Covered


@dataclass(frozen=True, eq=False)
class Instance:
    """An object's pixels: a patch (h, w) of bool whose first pixel is (x, y) in the image; score: how sure, None where nobody said.

    >>> import numpy as np
    >>> one = Instance(np.array([[True, False], [True, True]]), x=3, y=1)
    >>> one.box, one.area, int(one.mask((4, 6)).sum())
    ((3, 1, 5, 3), 3, 3)
    """

    patch: NDArray[np.bool_]
    x: int = 0
    y: int = 0
    score: float | None = None

    @classmethod
    def of(cls, mask: NDArray[np.generic], *, x: int = 0, y: int = 0, score: float | None = None) -> Instance | None:
        """The object that a mask (H, W) shows, which begins at (x, y) of its image; None for a mask without a pixel."""
        shown = np.asarray(mask).astype(bool)
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        if not rows.size:
            return None
        top, left = int(rows[0]), int(columns[0])
        patch = shown[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].copy()
        return cls(patch, x + left, y + top, score)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1), half open."""
        height, width = self.patch.shape
        return self.x, self.y, self.x + int(width), self.y + int(height)

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return int(np.count_nonzero(self.patch))

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Its pixels in an image of `size` (H, W). ValueError where it does not lie inside."""
        whole = np.zeros(size, bool)
        self.mark(whole, True)
        return whole

    def mark(self, canvas: NDArray[np.generic], value: float) -> None:
        """Set its pixels in an array (H, W) to a value. ValueError where it does not lie inside."""
        x0, y0, x1, y1 = self.box
        if x0 < 0 or y0 < 0 or y1 > canvas.shape[0] or x1 > canvas.shape[1]:
            raise ValueError(f"an object at {self.box} does not fit an image of {canvas.shape[1]}x{canvas.shape[0]}")
        canvas[y0:y1, x0:x1][self.patch] = value


def union(objects: Iterable[Instance], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (H, W) of several objects."""
    whole = np.zeros(size, bool)
    for each in objects:
        each.mark(whole, True)
    return whole


def objects_of(labels: NDArray[np.integer], numbers: NDArray[np.integer], scores: Mapping[int, float] | None = None) -> dict[int, list[Instance]]:
    """The objects of each class of a label map (H, W), told apart by a map of object numbers (H, W), 0 for none.

    An object belongs to each class that it has pixels of; pixels without a class belong to none. scores: {object number: how sure}. InputError
    where the boxes around them have more pixels than `limits.Covered` takes.

    >>> import numpy as np
    >>> found = objects_of(np.array([[1, 1, 0, 1, 2]]), np.array([[1, 1, 7, 2, 3]]))
    >>> {number: [each.box for each in objects] for number, objects in found.items()}
    {1: [(0, 0, 2, 1), (3, 0, 4, 1)], 2: [(4, 0, 5, 1)]}
    """
    from scipy import ndimage  # half a second at start-up otherwise

    values, dense = np.unique(numbers, return_inverse=True)
    dense = dense.reshape(labels.shape)
    found: dict[int, list[Instance]] = {}
    covered = Covered()
    for index, (rows, columns) in enumerate(ndimage.find_objects(dense + 1)):
        if values[index] <= 0:
            continue
        covered.add((rows.stop - rows.start) * (columns.stop - columns.start))
        mine, classes = dense[rows, columns] == index, labels[rows, columns]
        score = None if scores is None else scores.get(int(values[index]))
        for number in np.unique(classes[mine]).tolist():
            if 0 < number != 255:
                one = Instance.of(mine & (classes == number), x=columns.start, y=rows.start, score=score)
                found.setdefault(number, []).extend([one] if one is not None else [])
    return found


def overlaps(numbers: NDArray[np.integer], found: NDArray[np.integer], objects: Sequence[Instance]) -> NDArray[np.float64]:
    """Intersection over union (K, M) of the objects `found` (K,) of a map of object numbers (H, W) with others (M), which may lie over each other.

    >>> import numpy as np
    >>> overlaps(np.array([[1, 1, 2, 0]]), np.array([1, 2]), [Instance(np.array([[True, True, True]]))]).round(2).tolist()
    [[0.67], [0.33]]
    """
    shared = np.zeros((len(found), len(objects)))
    if not shared.size:
        return shared
    areas = np.bincount(numbers.ravel(), minlength=int(found.max()) + 1)
    for place, one in enumerate(objects):
        x0, y0, x1, y1 = one.box
        both = np.bincount(numbers[y0:y1, x0:x1][one.patch], minlength=len(areas))[found]
        shared[:, place] = both / (areas[found] + one.area - both)
    return shared
