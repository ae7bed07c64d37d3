"""Enlarging a class at a time, against torch's interpolation of everything at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.functional.upsample import argmax_enlarged, can_win, enlarge, softmax_enlarged


def torch_enlarged(logits, size):
    return torch.nn.functional.interpolate(torch.from_numpy(logits)[None], size=size, mode="bilinear", align_corners=False)[0].numpy()


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(1, 5), st.integers(1, 60), st.integers(1, 70), st.integers(0, 9999))
def test_labels_equal_the_argmax_of_everything_enlarged(classes, h, w, height, width, seed):
    logits = np.random.default_rng(seed).normal(size=(classes, h, w)).astype(np.float32)
    numbers = np.arange(classes, dtype=np.uint8) * 3
    labels = argmax_enlarged(logits, (height, width), numbers)
    everything = torch_enlarged(logits, (height, width))
    top = np.sort(everything, axis=0)
    clear = np.ones((height, width), bool) if classes == 1 else top[-1] - top[-2] > 1e-4
    assert (labels == numbers[everything.argmax(0)])[clear].all()


def test_classes_that_cannot_win_are_left_out_and_winners_never_are():
    logits = np.zeros((3, 4, 5), np.float32)
    logits[1] = -5
    logits[2, 2, 2] = 1
    assert can_win(logits) == [0, 2]


def test_a_class_that_wins_only_between_patches_is_kept():
    logits = np.array([[[1.0, 0.0]], [[0.9, 0.9]], [[0.0, 1.0]]], np.float32)
    assert 1 in can_win(logits)
    assert (argmax_enlarged(logits, (1, 41), np.arange(3, dtype=np.uint8)) == 1).any()


def test_a_tie_goes_to_the_first_class():
    assert (argmax_enlarged(np.zeros((3, 2, 2), np.float32), (5, 7), np.array([0, 4, 9], np.uint8)) == 0).all()


def test_probabilities_sum_to_one_and_equal_torch():
    logits = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32) * 5
    found = softmax_enlarged(logits, (17, 23))
    expected = torch.softmax(torch.from_numpy(torch_enlarged(logits, (17, 23))), 0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("size", [(4, 3), (9, 31)])
def test_a_constant_map_stays_constant(size):
    assert enlarge(np.full((4, 3), 2.5, np.float32), size) == pytest.approx(2.5)


def test_enlarging_by_corners_is_that_of_torch_for_labels_and_probabilities():
    logits = np.random.default_rng(3).normal(size=(4, 5, 7)).astype(np.float32)
    size = (23, 31)
    everything = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], size=size, mode="bilinear", align_corners=True)[0]
    np.testing.assert_allclose(softmax_enlarged(logits, size, corners=True), torch.softmax(everything, 0).numpy(), atol=1e-5)
    labels = argmax_enlarged(logits, size, np.arange(4, dtype=np.uint8), corners=True)
    assert (labels == everything.argmax(0).numpy()).mean() > 0.999
    assert (labels != argmax_enlarged(logits, size, np.arange(4, dtype=np.uint8))).any()
