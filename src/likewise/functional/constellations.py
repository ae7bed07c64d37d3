"""Where several points lie relative to each other: a mean shape under shift, turn and size, and how firm it is.

Points are complex numbers x + iy, so that a shift, a turn and a size together are z -> a z + b. Mirroring is none of these:
a left and a right ear that look alike are told apart by the way round.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]

_LOOSE = 0.3  # of a shape's size: how far points stray before any example was seen
_SIZES = 0.25  # the same for the logarithm of the size
_BEFORE = 2.0  # examples that these two count for
_ROUNDS = 5  # of laying shapes on their mean; more change the fifth digit
_PEAKS = 8  # of each point, of which pairs propose where the shape lies
_CELLS = 64  # of each point, among which it is placed
_PAIRS = 40  # of points that propose; more points have more pairs, which tell the same
_REFITS = 20  # best proposals whose shape is laid anew on all their points
_WORST = -30.0  # what one point may cost at most: one that is hidden must not move the others


@dataclass(frozen=True)
class Constellation:
    """shape (K,) with mean 0 and mean square length 1; stray (K,), deviation of each point in units of the size; size: mean
    and deviation of the logarithm of the size, in the unit that the points were given in.
    """

    shape: Complex
    stray: Floats
    size: tuple[float, float]


def constellation_of(points: Floats) -> Constellation | None:
    """The mean shape of examples (E, K, 2); those with a NaN are left out. None for fewer than 2 points or no whole example."""
    whole = points[np.isfinite(points).all(axis=(1, 2))]
    if points.shape[1] < 2 or not len(whole):
        return None
    shapes = whole[..., 0] + 1j * whole[..., 1]
    shapes = shapes - shapes.mean(1, keepdims=True)
    sizes = np.sqrt((np.abs(shapes) ** 2).mean(1))
    if (sizes <= 0).any():
        return None
    shapes = shapes / sizes[:, None]
    mean = shapes[0]
    for _ in range(_ROUNDS):
        laid = _turned(shapes, mean)
        mean = laid.mean(0)
        mean = mean / np.sqrt((np.abs(mean) ** 2).mean())
    apart = (np.abs(_turned(shapes, mean) - mean) ** 2 / 2).sum(0)
    seen = _BEFORE + len(whole) - 1
    logs = np.log(sizes)
    deviation = np.sqrt((_BEFORE * _SIZES**2 + ((logs - logs.mean()) ** 2).sum()) / seen)
    return Constellation(mean, np.sqrt((_BEFORE * _LOOSE**2 + apart) / seen), (float(logs.mean()), float(deviation)))


def placed(scores: Floats, centres: Floats, cell: float, sky: Constellation) -> NDArray[np.int64]:
    """The cell (K,) of each point such that scores and shape together are best.

    scores (P, K): logarithms of how likely each cell is; centres (P, 2) of the cells, `cell` their side, both in the
    unit of the constellation. Pairs of peaks propose shift, turn and size; each point then goes to the cell that suits
    both, and the shape is laid anew on the best answers.
    """
    where = centres[:, 0] + 1j * centres[:, 1]
    cells = np.argsort(-scores, axis=0, kind="stable")[:_CELLS]
    at, value = where[cells], np.take_along_axis(scores, cells, axis=0)
    blur = 2 * (0.5 * cell) ** 2

    def answers(scale: Complex, shift: Complex) -> tuple[NDArray[np.int64], Floats]:
        expected = scale[:, None] * sky.shape + shift[:, None]
        square = np.abs(at[None] - expected[:, None]) ** 2
        fit = value[None] - square / (2 * (np.abs(scale)[:, None, None] * sky.stray) ** 2 + blur)
        size = (np.log(np.abs(scale)) - sky.size[0]) ** 2 / (2 * sky.size[1] ** 2)
        return fit.argmax(1), np.maximum(fit.max(1), _WORST).sum(1) - size

    scale, shift = _proposals(at, sky.shape, cell)
    if not len(scale):
        return np.asarray(cells[0])
    chosen, total = answers(scale, shift)
    for _ in range(2):
        best = np.argsort(-total, kind="stable")[:_REFITS]
        refit = _laid(np.take_along_axis(at[None], chosen[best][:, None], axis=1)[:, 0], sky)
        kept = np.abs(refit[0]) > 1e-9
        more, added = answers(refit[0][kept], refit[1][kept])
        chosen, total = np.concatenate([chosen[best], more]), np.concatenate([total[best], added])
    return np.asarray(np.take_along_axis(cells, chosen[total.argmax()][None], axis=0)[0])


def _proposals(at: Complex, shape: Complex, cell: float) -> tuple[Complex, Complex]:
    """Scale and shift of the shape for every pair of peaks of two points; at (M, K) are their best cells, best first."""
    peaks = [_apart(column, 1.5 * cell) for column in at.T]
    pairs = list(itertools.combinations(range(len(shape)), 2))
    step = max(1, len(pairs) // _PAIRS)
    scales, shifts = [], []
    for one, two in pairs[::step]:
        first, second = (part.ravel() for part in np.meshgrid(peaks[one], peaks[two], indexing="ij"))
        between = shape[two] - shape[one]
        kept = np.abs(second - first) > 1e-9
        if abs(between) > 1e-9:
            scales.append((second - first)[kept] / between)
            shifts.append(first[kept] - scales[-1] * shape[one])
    empty = np.zeros(0, np.complex128)
    return np.concatenate([empty, *scales]), np.concatenate([empty, *shifts])


def _apart(ordered: Complex, distance: float) -> Complex:
    """The first of places in order that are at least `distance` from those before, at most `_PEAKS`."""
    kept: list[complex] = []
    for place in ordered.tolist():
        if len(kept) < _PEAKS and all(abs(place - other) > distance for other in kept):
            kept.append(place)
    return np.array(kept, np.complex128)


def _turned(shapes: Complex, mean: Complex) -> Complex:
    """Shapes (E, K) turned so that they lie on the mean as well as they can."""
    turn = (shapes.conj() * mean).sum(1)
    return shapes * (turn / np.maximum(np.abs(turn), 1e-12))[:, None]


def _laid(points: Complex, sky: Constellation) -> tuple[Complex, Complex]:
    """Scale and shift of the shape that lie best on points (Q, K), firm points counting more."""
    weight = 1 / sky.stray**2
    weight = weight / weight.sum()
    middle, centre = (points * weight).sum(1), (sky.shape * weight).sum()
    own = sky.shape - centre
    scale = ((points - middle[:, None]) * own.conj() * weight).sum(1) / (np.abs(own) ** 2 * weight).sum()
    return scale, middle - scale * centre
