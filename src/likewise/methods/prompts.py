"""The one place that turns labels a method does not take into labels it does: soft labels of patches.

    mask      the share of each patch that each class covers
    box       similarity growth inside the box: patches that look like what lies outside all boxes are given back
    point     the patch under it; patches that look alike join with less weight, unlike ones become background
    scribble  the patches it passes, grown in the same way
    tag       patches that images with the class share and images without it lack

Where an image's unlabelled pixels are unknown, none of them becomes background by any of this; what a box gives back
counts little. If then no patch of the whole support is background, nothing would stand against the classes, and they
would be everywhere: so likely background is borrowed from the unlabelled patches that are least like the labelled ones,
with little weight.

The coarse kinds are first forms: simple, deterministic, and computed from the support's own features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from likewise.backbones.features import ImageFeatures
from likewise.data import LabelKind, LabelledImage, Labels, Support
from likewise.data.geometry import area_resize, draw_polyline, scale_points
from likewise.errors import InputError
from likewise.functional.matching import spread_out
from likewise.functional.regression import apply_ridge, balanced_weight, ridge, sums
from likewise.functional.resize import resize_grid
from likewise.functional.walks import border_of, chance_to_reach, likeness, shrunk, time_to_leave, two_groups

PATCH_KINDS = frozenset({LabelKind.MASK, LabelKind.BOX, LabelKind.POINT, LabelKind.SCRIBBLE, LabelKind.TAG})

_GROWN_WEIGHT = 0.3  # of a patch that joined by similarity, against 1 for one that a person marked
_BORROWED_WEIGHT = 0.3  # of a patch that is likely background; on nuclei with half of their labels 0.1 found less, 1 about as much
_WALK_SHARPNESS, _WALK_LEAVING = 20.0, 0.5  # of walks from points and scribbles; 16 and 24 as good, 8 much worse (seven sets, one and three points)
_TAGGED = 10  # one patch of so many is where a walk for a tag begins; of 5 less was found
_ROUNDS = 3  # of growth inside boxes and of borrowing; more changed no patch in boxes on the development sets
_OTHERS, _FOREIGN = 12, 8192  # tagged images and patches of images without the class that a tagged one is compared with
_STRENGTH = 1e-2  # of the regressions that say what looks like what


@dataclass(frozen=True)
class PatchLabels:
    """Soft labels of one image's patches: shares (P, N+1) summing to 1 where weight (P,) in 0..1 is above 0."""

    shares: Tensor
    weight: Tensor

    def mask(self, place: int, grid: tuple[int, int]) -> Tensor:
        """(h, w) of 0 and 1: the patches that are mostly of the class in that place, or the likeliest ones where none is."""
        share = self.shares[:, place + 1].reshape(grid)
        return (share >= share.max().clamp_max(0.5)).float()


def patch_labels(support: Support, features: Sequence[ImageFeatures]) -> list[PatchLabels]:
    """The soft patch labels of every example, from whatever labels it carries.

    Raises InputError if, after all, no class has any patch: there is nothing to learn from.
    """
    found = [_from_pixels(example, support, item) for example, item in zip(support.examples, features, strict=True)]
    tokens = [normalize(item.tokens[-1].float(), dim=-1) for item in features]
    if LabelKind.TAG in support.kinds():
        found = _from_tags(support, features, found)
    if support.kinds() & {LabelKind.POINT, LabelKind.SCRIBBLE}:
        found = [_grown(example, own, item) for example, own, item in zip(support.examples, found, features, strict=True)]
    found = _with_background(support, features, tokens, found)
    if LabelKind.BOX in support.kinds():
        found = _inside_boxes(support, features, tokens, found)
    return found


def labels_for_masks(support: Support, features: Sequence[ImageFeatures], pairs: Sequence[tuple[int, int]], *, tokens: bool) -> list[PatchLabels] | None:
    """What stands in for masks where some of the (class, image) `pairs` have none: patch labels if features are tokens.

    None where every pair has a mask, and without tokens, where the whole image stands in. Raises InputError without tokens for a
    class that is marked by boxes, points or scribbles alone: those cannot become masks then.
    """
    numbers = support.classes.numbers
    bare = [(place, index) for place, index in pairs if not support.examples[index].labels.mask(numbers[place]).any()]
    if bare and tokens:
        return patch_labels(support, features)
    for place, index in bare:
        labels, number = support.examples[index].labels, numbers[place]
        if number in labels.boxes or number in labels.points or number in labels.scribbles:
            raise InputError(
                "a class that it shows has neither a mask nor a tag, and the checkpoint's own network cannot make one",
                where=support.examples[index].name,
                remedy="Draw masks by `likewise refine`, or take a checkpoint for the program's backbone",
            )
    return None


def require_some(labels: Sequence[PatchLabels]) -> None:
    """InputError unless at least one patch of one example is labelled."""
    if not any(bool((item.weight > 0).any()) for item in labels):
        raise InputError(
            "no pixel of any example is labelled", where="support", remedy="Give masks, boxes, points, scribbles, or tags of images with and without the class"
        )


def _from_pixels(example: LabelledImage, support: Support, features: ImageFeatures) -> PatchLabels:
    """Masks by area; boxes as full rectangles, points and scribbles as single patches, both refined afterwards."""
    labels, numbers = example.labels, support.classes.numbers
    shares, weight = labels.coverage(numbers, features.grid)
    if labels.unlabelled == "unknown":
        weight = weight**2  # the token of a patch mixes what is labelled in it with what is not
    for index, number in enumerate(numbers):
        if number in labels.boxes:
            _add_boxes(shares, weight, index + 1, labels.boxes[number], labels.size, features.grid)
        for place, points in ((index + 1, labels.points.get(number, (np.zeros((0, 2)),) * 2)[0]), (0, labels.points.get(number, (np.zeros((0, 2)),) * 2)[1])):
            _add_marks(shares, weight, place, [points[i : i + 1] for i in range(len(points))], labels.size, features.grid)
        _add_marks(shares, weight, index + 1, labels.scribbles.get(number, ()), labels.size, features.grid)
    only_boxes = bool(labels.boxes) and labels.label_map is None
    if only_boxes and labels.unlabelled == "background":
        free = weight == 0
        shares[0][free], weight[free] = 1.0, 1.0
    if _is_all_background(labels, numbers):
        shares[0], weight = np.ones(features.grid, np.float32), 1 - _ignored(labels, features.grid)
    count = len(numbers) + 1
    return PatchLabels(torch.from_numpy(shares.reshape(count, -1).T.copy()), torch.from_numpy(weight.reshape(-1).copy()))


def _is_all_background(labels: Labels, numbers: Sequence[int]) -> bool:
    """Whether tags say that nothing is in the image: every class is absent, or some are and all that is not labelled is background."""
    if not labels.tags or any(labels.tags.values()):
        return False
    if labels.unlabelled == "unknown":
        return all(labels.present(number) is False for number in numbers)
    return labels.label_map is None and not (labels.boxes or labels.points or labels.scribbles)


def _ignored(labels: Labels, grid: tuple[int, int]) -> np.ndarray:
    """The share (h, w) of each patch that is to be ignored."""
    return np.zeros(grid, np.float32) if labels.label_map is None else area_resize(labels.label_map < 0, grid)


def _add_boxes(shares: np.ndarray, weight: np.ndarray, place: int, boxes: np.ndarray, size: tuple[int, int], grid: tuple[int, int]) -> None:
    for x0, y0, x1, y1 in scale_points(boxes, size, grid):
        rows = slice(int(np.floor(y0)), max(int(np.ceil(y1)), int(np.floor(y0)) + 1))
        columns = slice(int(np.floor(x0)), max(int(np.ceil(x1)), int(np.floor(x0)) + 1))
        shares[:, rows, columns] = 0
        shares[place, rows, columns], weight[rows, columns] = 1.0, 1.0


def _add_marks(shares: np.ndarray, weight: np.ndarray, place: int, lines: Sequence[np.ndarray], size: tuple[int, int], grid: tuple[int, int]) -> None:
    for line in lines:
        inside = np.minimum(scale_points(np.asarray(line), size, grid), [grid[1] - 1e-6, grid[0] - 1e-6])
        marked = draw_polyline(grid, inside)
        shares[:, marked] = 0
        shares[place][marked], weight[marked] = 1.0, 1.0


def _grown(example: LabelledImage, found: PatchLabels, item: ImageFeatures) -> PatchLabels:
    """Unlabelled patches of an image with points or scribbles join the class that a random walk from them reaches, or the background.

    The others become background, unless unlabelled pixels are unknown.
    """
    if not (example.labels.points or example.labels.scribbles):
        return found
    marked = found.weight > 0
    if not bool(marked.any()) or example.labels.label_map is not None:
        return found
    place = _walked(found.shares * marked[:, None], item)
    shares, weight = found.shares.clone(), found.weight.clone()
    joins = ~marked & (place > 0)
    shares[joins] = torch.nn.functional.one_hot(place[joins], shares.shape[1]).float()
    others = ~marked & ~joins & (example.labels.unlabelled == "background")
    shares[others] = _one_hot(0, shares)
    weight[joins | others] = _GROWN_WEIGHT
    return PatchLabels(shares, weight)


def _walked(marks: Tensor, item: ImageFeatures) -> Tensor:
    """The place (P,) that each patch joins, 0 for none, of marks (P, N+1): the background and the classes.

    A walk from patch to patch, the likelier the more they look alike, ends at the marked patches or leaves the picture at its
    border (`functional.walks`). Patches from which a class is likely to be reached join it: the chances over all patches fall into
    two groups.
    """
    tokens, grid = shrunk(item.tokens[-1].float(), item.grid)
    seeds = torch.nn.functional.adaptive_max_pool2d(marks.T.reshape(-1, *item.grid), grid).flatten(1).T > 0.5
    chances = chance_to_reach(likeness(tokens, _WALK_SHARPNESS), border_of(grid), seeds, _WALK_LEAVING).float()
    large = resize_grid(chances.T.reshape(-1, *grid), item.grid).flatten(1).T
    best = large.argmax(dim=1)
    joins = torch.zeros(len(large), dtype=torch.bool)
    for place in torch.nonzero(seeds[:, 1:].any(dim=0))[:, 0].tolist():
        joins |= (best == place + 1) & (large[:, place + 1] > two_groups(chances[:, place + 1]))
    return torch.where(joins, best, 0)


def _with_background(support: Support, features: Sequence[ImageFeatures], tokens: Sequence[Tensor], found: list[PatchLabels]) -> list[PatchLabels]:
    """The same labels; if no patch of the support is background, with background borrowed from unlabelled patches.

    A regression tells the classes from all unlabelled patches of the images that show one. Those whose best class answer
    lies below the middle between the mean of the labelled and the mean of the unlabelled are taken, and it is fitted
    again with these alone against the classes. What is taken is likely background, not surely: it gets little weight.
    """
    if any(bool(((item.shares[:, 0] > 0.5) & (item.weight > 0)).any()) for item in found):
        return found
    free = torch.cat([_unlabelled(example, item.grid, own) for example, item, own in zip(support.examples, features, found, strict=True)])
    if not bool(free.any()):
        return found  # every pixel is labelled: there is no background to find
    rows, shares, weight = torch.cat(list(tokens)), torch.cat([item.shares for item in found]), torch.cat([item.weight for item in found])
    seen = (shares * weight[:, None]).sum(0)[1:] > 0
    shares[free] = _one_hot(0, shares)
    taken = free
    for _ in range(_ROUNDS):
        known = torch.where(taken, 1.0, weight)
        answers = apply_ridge(rows, ridge(sums(rows, shares, balanced_weight(shares, known)), _STRENGTH))
        likeness = answers[:, 1:][:, seen].max(1).values
        middle = ((likeness * weight).sum() / weight.sum() + likeness[free].mean()) / 2
        taken = free & (likeness < middle)
    weight[taken] = _BORROWED_WEIGHT
    counts = [len(item.weight) for item in found]
    return [PatchLabels(*parts) for parts in zip(torch.split(shares, counts), torch.split(weight, counts), strict=True)]


def _unlabelled(example: LabelledImage, grid: tuple[int, int], found: PatchLabels) -> Tensor:
    """The patches (P,) bool of which nothing is known, in an image that has labelled ones."""
    ignored = torch.from_numpy(_ignored(example.labels, grid).reshape(-1) > 0.5)
    return (found.weight == 0) & ~ignored & bool((found.weight > 0).any())


def _one_hot(place: int, shares: Tensor) -> Tensor:
    """The shares (N+1,) of a patch that belongs to one place alone, as those of `shares` (P, N+1)."""
    return torch.nn.functional.one_hot(torch.tensor(place), shares.shape[1]).to(shares.dtype)


def _inside_boxes(support: Support, features: Sequence[ImageFeatures], tokens: Sequence[Tensor], found: list[PatchLabels]) -> list[PatchLabels]:
    """Boxes shrunk to what is inside them: a regression over all examples says which patches look like the outside.

    Starts from full boxes; each round fits class against background on all patches and keeps, in every box, the
    patches above the middle between the box's own and the background's mean answer, at least a fifth of the box. The
    others become background, with little weight where unlabelled pixels are unknown.
    """
    boxed = [(e, c) for e, example in enumerate(support.examples) for c in example.labels.boxes]
    current = list(found)
    for _ in range(_ROUNDS):
        rows = torch.cat(list(tokens))
        shares, weight = torch.cat([item.shares for item in current]), torch.cat([item.weight for item in current])
        if float(shares[weight > 0, 0].sum()) < 1:
            return current  # boxes cover everything: no outside to compare with
        coefficients = ridge(sums(rows, shares, balanced_weight(shares, weight)), _STRENGTH)
        for e, number in boxed:
            place = support.classes.index(number)
            inside = found[e].shares[:, place] > 0.5
            answer = apply_ridge(tokens[e], coefficients)[:, place]
            kept = _upper_part(answer, inside)
            updated, trusted = current[e].shares.clone(), current[e].weight.clone()
            updated[inside & ~kept] = _one_hot(0, updated)
            trusted[inside & ~kept] = _BORROWED_WEIGHT if support.examples[e].labels.unlabelled == "unknown" else 1.0
            updated[kept], trusted[kept] = found[e].shares[kept], found[e].weight[kept]
            current[e] = PatchLabels(updated, trusted)
    return current


def _upper_part(answer: Tensor, inside: Tensor) -> Tensor:
    """The patches (P,) bool of a box whose answer is above the threshold that splits it best (Otsu), a fifth at least."""
    values = answer[inside]
    if len(values) < 4:
        return inside
    ordered = values.sort().values.double()
    count = torch.arange(1, len(ordered), dtype=torch.float64)
    low = ordered.cumsum(0)[:-1] / count
    high = (ordered.sum() - ordered.cumsum(0)[:-1]) / (len(ordered) - count)
    between = count * (len(ordered) - count) * (high - low) ** 2
    threshold = ordered[int(between.argmax())]
    threshold = torch.minimum(threshold, ordered[int(0.8 * (len(ordered) - 1))])
    return inside & (answer.double() >= threshold)


def _from_tags(support: Support, features: Sequence[ImageFeatures], found: list[PatchLabels]) -> list[PatchLabels]:
    """Patches that stand for tags, of images of which nothing else is said: from the likeliest tenth for each class a walk goes on.

    A patch is the likelier to stand for a tag the more its likes are in every image with the class and in none without it, and the
    longer a walk takes from it to the border of the picture. The others become background, unless unlabelled pixels are unknown.
    """
    centred = [normalize(item.tokens[-1].float() - item.tokens[-1].float().mean(dim=0), dim=-1) for item in features]
    current = list(found)
    for e, example in enumerate(support.examples):
        numbers = [number for number in support.classes if example.labels.tags.get(number) is True]
        if not numbers or bool((found[e].weight > 0).any()):
            continue
        alone = _salience(features[e])
        scores = torch.stack([_scaled(_evidence(support, centred, e, number)) + _scaled(alone) for number in numbers], dim=1)
        best, marks = scores.argmax(dim=1), torch.zeros_like(found[e].shares)
        for column, number in enumerate(numbers):
            own = torch.where(best == column, scores[:, column], -torch.inf)
            chosen = own.topk(max(1, len(own) // _TAGGED)).indices
            marks[chosen[own[chosen] > -torch.inf], support.classes.index(number)] = 1
        place = _walked(marks, features[e])
        known = (place > 0) | (example.labels.unlabelled == "background")
        current[e] = PatchLabels(torch.nn.functional.one_hot(place, marks.shape[1]).float(), _GROWN_WEIGHT * known.float())
    return current


def _evidence(support: Support, tokens: Sequence[Tensor], e: int, number: int) -> Tensor:
    """How much more the patches (P,) of an image look like the other images with a class than like those without it.

    The mean over the other tagged images of the best cosine there, less the best cosine over images without the class (or over
    patches of its own image, if there are none such).
    """
    without = torch.cat([tokens[o] for o in support.lacking(number)] or [tokens[0][:0]])
    without = without[spread_out(len(without), _FOREIGN)]
    showing = [o for o in support.showing(number) if o != e]
    others = [tokens[showing[place]] for place in spread_out(len(showing), _OTHERS).tolist()]
    shared = torch.stack([(tokens[e] @ other.T).max(1).values for other in others]).mean(0) if others else torch.zeros(len(tokens[e]))
    foreign = without if len(without) else tokens[e][:: max(1, len(tokens[e]) // 16)]
    return shared - (tokens[e] @ foreign.T).topk(min(3, len(foreign)), dim=1).values.mean(1)


def _salience(item: ImageFeatures) -> Tensor:
    """How long a walk takes from each patch (P,) to the border of the picture."""
    tokens, grid = shrunk(item.tokens[-1].float(), item.grid)
    time = time_to_leave(likeness(tokens, _WALK_SHARPNESS), border_of(grid)).float()
    return resize_grid(time.reshape(1, *grid), item.grid).flatten()


def _scaled(values: Tensor) -> Tensor:
    """Values (P,) with mean 0 and deviation 1."""
    return (values - values.mean()) / values.std().clamp_min(1e-6)
