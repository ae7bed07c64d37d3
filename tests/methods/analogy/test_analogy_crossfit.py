"""Cross-fitting: what is left out is answered by what was fitted without it, and by nothing that saw it."""

import pytest
import torch

from likewise.methods.analogy import conv
from likewise.methods.analogy.crossfit import FITS, cross_fit
from likewise.methods.analogy.fitting import UNKNOWN, Scene

SIZE, COUNT, LAYERS = (41, 66), 3, 4
STEPS = {"pixel": 60, "conv": 70}


@pytest.fixture(autouse=True)
def _small_crops(monkeypatch):
    """Crops and batches so small that a network is fitted in seconds on one thread."""
    monkeypatch.setattr(conv, "_CROP", 32)
    monkeypatch.setattr(conv, "_BATCH", 4)


def scene(seed, bright=1, dark=0):
    """A picture of a dark and a bright side, whose labels are given, and tokens that see nothing."""
    generator = torch.Generator().manual_seed(seed)
    edge = int(torch.randint(20, 46, (), generator=generator))
    labels = torch.full(SIZE, dark)
    labels[:, edge:] = bright
    picture = torch.full(SIZE, 0.25)
    picture[:, edge:] = 0.75
    return Scene((picture + 0.03 * torch.randn(3, *SIZE, generator=generator)).clamp(0, 1), torch.zeros(LAYERS, *SIZE), labels)


def whole(fold):
    return torch.full(SIZE, fold)


def rows_apart():
    """Folds (h, w) of one picture: the upper and the lower rows."""
    return (torch.arange(SIZE[0]) >= 20).long()[:, None].expand(SIZE)


def fit(kind, scenes, folds, *, relight=False, steps=None):
    return cross_fit(kind, scenes, folds, COUNT, steps=steps or STEPS[kind], relight=relight)


@pytest.mark.parametrize("kind", FITS)
def test_images_that_disagree_are_each_answered_with_the_labels_of_the_other(kind):
    one, two = scene(1, bright=1), scene(2, bright=2)
    found = fit(kind, [one, two], [whole(0), whole(1)])
    assert (found.maps[0].argmax(0) == torch.where(one.labels == 1, 2, 0)).float().mean() > 0.95
    assert (found.maps[1].argmax(0) == torch.where(two.labels == 2, 1, 0)).float().mean() > 0.95


@pytest.mark.parametrize("kind", FITS)
def test_halves_of_one_image_that_disagree_are_each_answered_with_the_labels_of_the_other(kind):
    one, half = scene(1), rows_apart()
    planted = Scene(one.picture, one.answers, torch.where((one.labels == 1) & (half == 1), 2, one.labels))
    (found,) = fit(kind, [planted], [half]).maps
    expected = torch.where(one.labels == 0, 0, torch.where(half == 0, 2, 1))
    assert (found.argmax(0) == expected).float().mean() > 0.95


def test_answers_are_probabilities_and_classes_unseen_by_the_other_fold_have_none():
    found = fit("pixel", [scene(1, bright=1), scene(2, bright=2)], [whole(0), whole(1)])
    for maps in found.maps:
        assert maps.shape == (COUNT, *SIZE)
        torch.testing.assert_close(maps.sum(0), torch.ones(SIZE))
    assert (found.maps[0][1] == 0).all()
    assert (found.maps[1][2] == 0).all()
    assert found.tensors["seen"].tolist() == [True, True, True]


def test_a_class_that_nobody_saw_is_told_as_unseen():
    assert fit("pixel", [scene(1), scene(2)], [whole(0), whole(1)], steps=3).tensors["seen"].tolist() == [True, True, False]


def test_what_is_kept_is_fitted_on_everything():
    scenes = [scene(1), scene(2)]
    found = fit("pixel", scenes, [whole(0), whole(1)], steps=5).tensors
    expected = FITS["pixel"][0](scenes, COUNT, steps=5)
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


@pytest.mark.parametrize("half", [0, 1])
def test_a_half_that_holds_everything_is_answered_by_the_whole(half):
    scenes = [scene(1), scene(2)]
    found = fit("pixel", scenes, [whole(half), whole(half)])
    for own, maps in zip(scenes, found.maps, strict=True):
        assert (maps.argmax(0) == own.labels).float().mean() > 0.95


def test_a_half_without_labels_is_answered_by_the_whole():
    one = scene(1)
    unlabelled = Scene(one.picture, one.answers, torch.full(SIZE, UNKNOWN))
    found = fit("pixel", [one, unlabelled], [whole(0), whole(1)])
    assert all((maps.argmax(0) == one.labels).float().mean() > 0.95 for maps in found.maps)


def test_relit_answers_are_about_another_light_and_kept_tensors_are_not():
    scenes, halves = [scene(1)], [rows_apart()]
    plain, relit, again = (fit("pixel", scenes, halves, relight=relight, steps=5) for relight in (False, True, True))
    assert not torch.equal(plain.maps[0], relit.maps[0])
    assert torch.equal(relit.maps[0], again.maps[0])
    assert all(torch.equal(tensor, relit.tensors[name]) for name, tensor in plain.tensors.items())


def test_the_global_random_state_is_untouched():
    before = torch.get_rng_state()
    fit("pixel", [scene(1)], [rows_apart()], relight=True, steps=2)
    assert torch.equal(before, torch.get_rng_state())


def test_of_four_folds_each_is_answered_by_what_saw_the_three_others():
    scenes = [scene(seed, bright=bright) for seed, bright in ((1, 1), (2, 1), (3, 1), (4, 2))]
    maps = fit("pixel", scenes, [whole(fold) for fold in (0, 1, 2, 3)], steps=20).maps
    assert (maps[3][2] == 0).all()
    assert all((found[2] > 0).any() for found in maps[:3])
