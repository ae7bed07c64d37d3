import math

import pytest
import torch

from likewise.functional.recall import overlaps, recall


def test_overlap_is_intersection_over_union_of_what_is_known():
    masks = torch.tensor([[[1, 1, 0], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]], dtype=torch.bool)
    truths = torch.tensor([[[1, 1, 1], [0, 0, 0]], [[0, 0, 1], [0, 0, 1]], [[1, 1, 0], [1, 1, 0]]], dtype=torch.bool)
    known = torch.tensor([[1, 1, 1], [1, 1, 0]], dtype=torch.bool)
    assert overlaps(masks, truths, known)[0].tolist() == pytest.approx([2 / 5, 0, 1])
    assert overlaps(masks, truths, known)[1].tolist() == [0, 0, 0]


def test_recall_counts_truths_at_the_threshold_too():
    assert recall(torch.tensor([0.5, 0.76, 0.2, 0.75])) == [0.75, 0.5]
    assert all(math.isnan(share) for share in recall(torch.zeros(0)))


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match="truths"):
        overlaps(torch.zeros(2, 3, 5, dtype=torch.bool), torch.zeros(1, 3, 4, dtype=torch.bool), torch.ones(3, 5, dtype=torch.bool))
