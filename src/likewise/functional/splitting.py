"""A mask of many things split into single ones.

All ways end in the same step: a height over the mask, whose tops are the middles of objects, and a watershed that begins at the tops. A top
counts where it stands out: where the way to any higher one goes down by more than a share of its own height, so that size does not matter.

    parts       a connected part is an object
    watershed   the height is the distance to the edge of the mask, smoothed
    depth       the height is a learned map that says of each pixel how deep it lies in its own object, 1 in the middle and 0 at the rim, times the
                root of the distance to the edge of the mask
    offsets     each pixel votes by a learned map for the middle of its object; the height is the density of votes, and a pixel belongs where its vote falls
                (after Neven et al. 2019 and Cheng et al. 2020)

Numbers begin with 1, in the order of each object's first pixel; 0 is what lies outside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.functional.upsample import FloatMap

Numbers = NDArray[np.int32]
TOUCHING = np.ones((3, 3), bool)
TARGETS = 3  # of `object_targets`
_LEAST = 1e-3  # of a height within a mask: every part has a top


def mean_over(numbers: Numbers, values: FloatMap) -> NDArray[np.float64]:
    """The mean of values (H, W) over each object (H, W), by number; 0 for number 0 and those that are not there."""
    areas = np.bincount(numbers.ravel())
    found = np.bincount(numbers.ravel(), weights=values.ravel()) / np.maximum(areas, 1)
    found[0] = 0
    return np.asarray(found, np.float64)


def parts(mask: NDArray[np.bool_]) -> Numbers:
    """Connected parts (H, W) of a mask (H, W); pixels that touch at a corner belong together."""
    return np.asarray(ndimage.label(mask, TOUCHING)[0], np.int32)


def watershed(mask: NDArray[np.bool_], share: float, blur: float = 0.0) -> Numbers:
    """Objects (H, W) by the distance to the edge; share: how far a top must stand out (0..1); blur: deviation in pixels of the smoothing."""
    return by_height(mask, smoothed(edge_distance(mask), blur), share)


def by_height(mask: NDArray[np.bool_], height: FloatMap, share: float) -> Numbers:
    """Objects (H, W) of a mask by a height (H, W) over it: one for each top that stands out by `share` of its height."""
    from skimage.segmentation import watershed as flooded  # a second at start-up otherwise

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    raised = np.where(mask, np.maximum(height, _LEAST), 0).astype(np.float32)
    return ordered(np.asarray(flooded(-raised, _tops(raised, share), mask=mask, connectivity=2)))


def by_votes(mask: NDArray[np.bool_], offsets: FloatMap, share: float, blur: float) -> Numbers:
    """Objects (H, W) of a mask by offsets (2, H, W), x and y in pixels, from each pixel to the middle of its object."""
    from skimage.segmentation import watershed as flooded

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    rows, columns = np.nonzero(mask)
    down = np.clip(np.rint(rows + offsets[1][mask]), 0, mask.shape[0] - 1).astype(np.int64)
    right = np.clip(np.rint(columns + offsets[0][mask]), 0, mask.shape[1] - 1).astype(np.int64)
    votes = np.zeros(mask.shape, np.float32)
    np.add.at(votes, (down, right), 1.0)
    density = smoothed(votes, max(blur, 0.5))
    basins = np.asarray(flooded(-density, _tops(density, share), connectivity=2))
    told = np.zeros(mask.shape, np.int32)
    told[mask] = basins[down, right]
    return _mended(mask, told)


def spread_over(mask: NDArray[np.bool_], numbers: Numbers) -> Numbers:
    """Objects (h, w) of a mask that was made smaller as those of the mask (H, W) itself: each pixel has the number at its place, or the nearest.

    Connected parts of the mask that the small one lost are objects of their own.
    """
    if numbers.shape != mask.shape:
        numbers = np.asarray(cv2.resize(numbers, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_NEAREST), np.int32)
    numbers = np.where(mask, numbers, 0)
    if not (mask & (numbers == 0)).any():
        return ordered(numbers)
    whole = parts(mask)
    lost = np.ones(int(whole.max()) + 1, bool)
    lost[whole[numbers > 0]] = False
    numbers = np.where(lost[whole] & mask, whole + int(numbers.max()), numbers)
    nearest = ndimage.distance_transform_edt(numbers == 0, return_distances=False, return_indices=True)
    return ordered(np.where(mask, numbers[tuple(nearest)], 0))


def ordered(numbers: NDArray[np.integer]) -> Numbers:
    """The same objects with numbers from 1 in the order of their first pixels."""
    found, first, places = np.unique(numbers, return_index=True, return_inverse=True)
    rank = np.empty(len(found), np.int32)
    by_first = np.argsort(np.where(found > 0, first, -1), kind="stable")
    rank[by_first] = np.arange(len(found), dtype=np.int32) + (0 if (found == 0).any() else 1)
    return rank[places].reshape(numbers.shape)


def edge_distance(mask: NDArray[np.bool_]) -> FloatMap:
    """Pixels (H, W) from each pixel of a mask to the nearest outside of it; the border of the picture is no edge."""
    if mask.all():
        return np.ones(mask.shape, np.float32)
    return np.asarray(ndimage.distance_transform_edt(mask), np.float32)


def object_targets(numbers: NDArray[np.integer]) -> FloatMap:
    """What can be learned of objects (H, W): offsets x and y in pixels to the object's middle, and its depth there; (TARGETS, H, W), 0 outside.

    The depth is the distance to the object's own edge over the largest there is in it.
    """
    found = np.zeros((TARGETS, *numbers.shape), np.float32)
    for number, place in enumerate(ndimage.find_objects(numbers.astype(np.int32)), start=1):
        if place is None:
            continue
        mine = numbers[place] == number
        rows, columns = np.nonzero(mine)
        inner = np.asarray(ndimage.distance_transform_edt(np.pad(mine, 1)), np.float32)[1:-1, 1:-1]
        for target, values in enumerate((columns.mean() - columns, rows.mean() - rows, inner[mine] / inner.max())):
            found[target][place][mine] = values
    return found


def _tops(height: FloatMap, share: float) -> Numbers:
    """Numbered tops (H, W) of a height >= 0 that stand out by a share of their own height."""
    from skimage.morphology import local_maxima, reconstruction

    low = np.pad(height, 1)  # a height that is the same everywhere is a top too
    lowered = np.asarray(reconstruction(low * np.float32(1 - share), low, footprint=TOUCHING), np.float32)
    return parts((np.asarray(local_maxima(lowered, connectivity=2), bool) & (low > 0))[1:-1, 1:-1])


def smoothed(height: FloatMap, blur: float) -> FloatMap:
    """A height (H, W) smoothed by a deviation in pixels; 0 leaves it."""
    return height if blur <= 0 else np.asarray(ndimage.gaussian_filter(height, blur), np.float32)


def _mended(mask: NDArray[np.bool_], told: Numbers) -> Numbers:
    """Objects (H, W) that hang together: of each that was told the largest piece of every part, what is left over goes to the one beside it."""
    from skimage.measure import label
    from skimage.segmentation import watershed as flooded

    pieces = np.asarray(label(told, connectivity=2), np.int32)  # pixels of one number that touch
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    whole = parts(mask)
    owner = np.zeros(len(areas), np.int64)
    owner[pieces[mask]] = whole[mask].astype(np.int64) * (int(told.max()) + 1) + told[mask]
    order = np.lexsort((areas, owner))
    last = np.r_[owner[order][1:] != owner[order][:-1], True]
    kept = np.zeros(len(areas), bool)
    kept[order[last]] = True
    kept[0] = False
    seeds = np.where(kept[pieces], pieces, 0)
    return ordered(np.asarray(flooded(-edge_distance(mask), seeds, mask=mask, connectivity=2)))
