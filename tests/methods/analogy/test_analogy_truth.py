"""What left-out answers are judged by: the labels at the centres of cells, and nothing that could not have been known."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.methods.analogy.fitting import UNKNOWN
from likewise.methods.analogy.folds import FOLDS, patch_folds
from likewise.methods.analogy.tokens import fold_sums
from likewise.methods.analogy.truth import drawn_enough, judges_of, pixel_labels, share_judged
from likewise.methods.prompts import PatchLabels, patch_labels

SIZE, GRID, PICTURE = (60, 90), (4, 6), (256, 384)
CLASSES = {3: "a", 7: "b"}  # places 1 and 2


def example(name="e", size=SIZE, **labels):
    return Example(np.zeros((*size, 3), np.uint8), name, **labels)


def half_and_half(number=3, size=SIZE):
    """A label map whose right half is of a class."""
    found = np.zeros(size, np.uint8)
    found[:, size[1] // 2 :] = number
    return found


def support_of(*examples, **more):
    return Support(list(examples), **{"classes": CLASSES, **more})


def one_example(size=SIZE, grid=None, **labels):
    support = support_of(example(size=size, **labels))
    return pixel_labels(support.examples[0], support, grid or size)


def features_of(support, pixels=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = [torch.randn(2, GRID[0] * GRID[1], 5, generator=generator).half() for _ in support.examples]
    picture = torch.zeros(3, *PICTURE, dtype=torch.uint8) if pixels else None
    return [ImageFeatures(item, torch.zeros(2, 1, 5), GRID, SIZE, pixels=picture) for item in tokens]


def judged(support, whole, pixels=True):
    """Judges of a support and the share of each class that they judge."""
    features = features_of(support, pixels)
    labels = patch_labels(support, features)
    sums = fold_sums(features, labels, [patch_folds(GRID, fold) for fold in whole], FOLDS)
    judges = judges_of(support, features, labels, whole, sums)
    return judges, share_judged(support, judges, labels)


class TestPixelLabels:
    def test_numbers_become_places_and_ignored_pixels_are_unknown(self):
        found = one_example(size=(2, 3), label_map=np.array([[0, 3, 7], [255, 7, 3]]))
        assert found.tolist() == [[0, 1, 2], [UNKNOWN, 2, 1]]

    def test_unlabelled_pixels_may_be_unknown(self):
        found = one_example(size=(2, 3), label_map=np.array([[0, 3, 7], [255, 7, 3]]), unlabelled="unknown")
        assert found.tolist() == [[UNKNOWN, 1, 2], [UNKNOWN, 2, 1]]

    def test_likely_background_among_patches_is_background_where_nothing_is_labelled(self):
        label_map = np.zeros((4, 6), np.uint8)
        label_map[0] = 3
        support = support_of(example(size=(4, 6), label_map=label_map, unlabelled="unknown"))
        shares = torch.tensor([[1.0, 0, 0], [0.0, 1, 0], [1.0, 0, 0]])
        found = pixel_labels(support.examples[0], support, (4, 6), ((1, 3), PatchLabels(shares, torch.tensor([0.3, 1.0, 0.0]))))
        assert found.tolist() == [[1] * 6] + [[0, 0] + [UNKNOWN] * 4] * 3

    def test_other_labels_say_nothing_of_pixels(self):
        assert (one_example(boxes={3: [(10, 10, 40, 40)]}) == UNKNOWN).all()

    @pytest.mark.parametrize("factor", [3, 5])
    def test_a_cell_has_the_class_at_its_centre(self, factor):
        label_map = np.random.default_rng(2).choice(np.array([0, 3, 7], np.uint8), (4 * factor, 7 * factor))
        found = one_example(size=label_map.shape, label_map=label_map, grid=(4, 7))
        middle = label_map[factor // 2 :: factor, factor // 2 :: factor]
        assert np.array_equal(np.array([0, 3, 7])[found.numpy()], middle)

    def test_what_is_mirrored_has_mirrored_labels(self):
        label_map = np.random.default_rng(3).choice(np.array([0, 3, 7], np.uint8), (20, 35))
        one, two = (one_example(size=(20, 35), label_map=labels, grid=(8, 50)) for labels in (label_map, label_map[:, ::-1]))
        assert (one == two.flip(1)).float().mean() > 0.9


class TestJudges:
    def test_masks_are_judged_by_the_pixels_of_the_picture(self):
        support = support_of(example("a", label_map=half_and_half()), example("b", label_map=half_and_half()[:, ::-1].copy()))
        (one, two), share = judged(support, [0, 1])
        assert one.grid == two.grid == PICTURE
        assert torch.equal(one.places, pixel_labels(support.examples[0], support, PICTURE).flatten())
        assert share.tolist() == [1, 1, 0]

    def test_without_a_picture_large_masks_are_judged_on_less(self):
        large, small = (700, 1400), (40, 77)
        support = support_of(example("a", large, label_map=half_and_half(size=large)), example("b", small, label_map=half_and_half(size=small)))
        (one, two), _ = judged(support, [0, 1], pixels=False)
        assert max(one.grid) < max(large)
        assert one.grid[1] == 2 * one.grid[0]
        assert two.grid == small

    def test_other_labels_are_judged_by_patches(self):
        support = support_of(example("a", label_map=half_and_half()), example("b", boxes={3: [(45, 0, 90, 60)]}))
        (one, two), _ = judged(support, [0, 1])
        assert (one.grid, one.soft) == (PICTURE, None)
        assert (two.grid, two.places) == (GRID, None)
        assert two.soft.weight.sum() > 0

    def test_masks_whose_unlabelled_pixels_are_unknown_are_judged_by_patches(self):
        support = support_of(example("a", label_map=half_and_half()), example("b", label_map=half_and_half(), unlabelled="unknown"))
        (one, two), _ = judged(support, [0, 1])
        assert one.places is not None
        assert two.places is None

    def test_a_class_that_would_be_gone_is_not_judged(self):
        corner = half_and_half()
        corner[:10, :12] = 7  # within the first block of the image
        (judge,), share = judged(support_of(example(label_map=corner)), [None])
        assert not (judge.places == 2).any()
        assert (judge.places == 1).any()
        assert share[2] == 0
        assert share[1] == 1

    def test_patches_of_a_class_that_would_be_gone_weigh_nothing(self):
        support = support_of(example("a", boxes={3: [(0, 0, 40, 40)]}), example("b", boxes={7: [(30, 15, 90, 60)]}))
        (one, two), share = judged(support, [0, 1])
        assert all(float((judge.soft.shares[:, place] * judge.soft.weight).sum()) < 1e-3 for judge, place in ((one, 1), (two, 2)))
        assert share[0] > 0.5
        assert float(share[1:].max()) < 1e-3


def test_pixels_are_learned_only_where_most_of_a_class_is_drawn():
    def enough(*kinds):
        given = {"drawn": {"label_map": half_and_half()}, "boxed": {"boxes": {3: [(2, 3, 9, 9)]}}, "absent": {"tags": {3: False}}}
        return drawn_enough(support_of(*(example(f"{place}", **given[kind]) for place, kind in enumerate(kinds))))

    assert enough("drawn")
    assert enough("drawn", "absent", "absent")
    assert enough(*["drawn"] * 4, "boxed")
    assert enough("drawn", "drawn", "boxed")
    assert not enough("drawn", "boxed")
    assert not enough("boxed", "absent")
