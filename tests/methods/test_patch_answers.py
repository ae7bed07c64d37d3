"""The confidence of an answer is that of what is left of it once absent classes are out."""

import pytest
import torch

from likewise.functional.calibration import dice_confidence
from likewise.methods.patches import answer

GRID = (3, 5)
LOGITS = torch.log(torch.tensor([[0.1, 0.7, 0.2]] * 9 + [[0.6, 0.1, 0.3]] * 6))


def test_classes_found_are_as_sure_as_their_dice_score():
    raw = answer(LOGITS, GRID, presence=torch.tensor([0.9, 0.9]))
    expected, _ = dice_confidence(torch.softmax(LOGITS, 1).T)
    assert raw.class_confidence.tolist() == pytest.approx(expected[1:].tolist())
    assert raw.confidence == pytest.approx(float(expected[1]))


def test_an_absent_class_counts_for_nothing_and_leaves_its_pixels_to_the_others():
    raw = answer(LOGITS, GRID, presence=torch.tensor([0.2, 0.9]))
    left = torch.softmax(LOGITS[:, [0, 2]], 1).T
    assert raw.class_confidence[0] == 0
    assert raw.confidence == pytest.approx(float(dice_confidence(left)[0][1]))


def test_nothing_found_is_as_sure_as_that_nothing_is_there():
    raw = answer(LOGITS, GRID, presence=torch.tensor([0.4, 0.3]))
    assert raw.confidence == pytest.approx(0.6 * 0.7)


def test_a_judge_turns_dice_scores_into_what_to_expect_of_classes_found():
    raw = answer(LOGITS, GRID, presence=torch.tensor([0.9, 0.9]), judge=lambda dice: dice / 2 + 0.1)
    plain = answer(LOGITS, GRID, presence=torch.tensor([0.9, 0.9]))
    assert raw.confidence == pytest.approx(plain.confidence / 2 + 0.1)
    assert raw.class_confidence[1] == 0


def test_a_dense_answer_lowers_the_confidence():
    half = answer(LOGITS, GRID, presence=torch.tensor([0.9, 0.9]), confidence=0.5)
    assert half.confidence == pytest.approx(answer(LOGITS, GRID, presence=torch.tensor([0.9, 0.9])).confidence / 2)
