"""What a dense map must be by its kind: each rule, and what the error says to do."""

import numpy as np
import pytest

from likewise.data import Example, Support, Target
from likewise.errors import InputError

SIZE = (6, 9)
IMAGE = np.zeros((*SIZE, 3), np.uint8)


def support(values, target=None, more=()):
    examples = [Example(IMAGE, f"e{index}", dense={"t": np.asarray(each)}) for index, each in enumerate((values, *more))]
    return Support(examples, targets={"t": target or Target()})


def kept(values, target):
    return support(values, target).examples[0].labels.dense["t"]


@pytest.mark.parametrize("kind", ["heatmap", "soft_mask"])
@pytest.mark.parametrize("value", [255.0, -0.1])
def test_shares_outside_0_to_1_ask_for_a_range(kind, value):
    with pytest.raises(InputError, match="not within 0 to 1") as caught:
        support(np.full(SIZE, value), Target(kind=kind))
    assert "range=" in caught.value.remedy
    assert "e0: dense['t']" in caught.value.where


def test_a_declared_range_and_rounding_are_allowed():
    assert kept(np.full(SIZE, 255.0), Target(kind="heatmap", range=(0, 255))).max() == 255
    assert kept(np.full(SIZE, 1.00005), Target(kind="soft_mask")).shape == (*SIZE, 1)
    assert kept(np.ones(SIZE, bool), Target(kind="soft_mask")).max() == 1


@pytest.mark.parametrize(
    ("values", "target", "words"),
    [
        (np.full(SIZE, np.nan), Target(), "every value of the dense map is unknown"),
        (np.full(SIZE, 7.0), Target(invalid=7), "every value of the dense map is unknown"),
        (np.zeros((*SIZE, 3)), Target(kind="unit_vector"), "every value of the dense map is unknown"),
        (np.full(SIZE, np.inf), Target(), "infinite"),
        (np.full(SIZE, -1.0), Target(kind="density"), "a density has the value -1"),
        (np.zeros(SIZE), Target(kind="log"), "at or below 0"),
        (np.zeros(SIZE), Target(kind="vector"), "one channel"),
        (np.ones(SIZE), Target(kind="unit_vector"), "one channel"),
        (np.zeros((9, 6)), Target(), "it is 6x9, its image 9x6"),
        (np.zeros((0, 0)), Target(), "float64 .0, 0."),
        (np.zeros((*SIZE, 2), complex), Target(), "complex"),
    ],
)
def test_what_a_kind_does_not_allow_is_refused(values, target, words):
    with pytest.raises(InputError, match=words):
        support(values, target)


def test_examples_with_other_channels_are_refused():
    with pytest.raises(InputError, match="2 channels here and 3 elsewhere"):
        support(np.zeros((*SIZE, 3)), more=[np.zeros((*SIZE, 2))])


def test_unit_vectors_have_length_one_and_those_without_length_are_unknown():
    values = np.full((*SIZE, 3), (3.0, 0.0, 4.0))
    values[2, 5] = 0
    found = kept(values, Target(kind="unit_vector"))
    assert np.isnan(found[2, 5]).all()
    assert np.allclose(found[0, 0], (0.6, 0, 0.8))


@pytest.mark.parametrize("size", [(6, 9), (2, 3), (24, 36)])
def test_a_density_keeps_its_count_whatever_size_its_map_has(size):
    values = np.random.default_rng(1).random(size)
    found = kept(values, Target(kind="density"))
    assert found.mean() * SIZE[0] * SIZE[1] == pytest.approx(values.sum(), rel=1e-5)


def test_names_of_the_programs_own_targets_are_refused():
    with pytest.raises(InputError, match="keypoint:nose"):
        Support([Example(IMAGE, dense={"keypoint:nose": np.zeros(SIZE)})])


def test_limits_are_the_range_or_what_the_kind_allows():
    assert Target(kind="heatmap").limits == (0, 1)
    assert Target(kind="density").limits == (0, np.inf)
    assert Target(kind="heatmap", range=(0, 255)).limits == (0, 255)
    assert Target().limits == (-np.inf, np.inf)
