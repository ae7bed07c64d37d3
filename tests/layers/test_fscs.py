"""From answers a shot and a class to one: the rules by hand."""

import pytest
import torch

from likewise.functional.resize import resize_corners
from likewise.layers.fscs import decide, decide_by_votes, is_present, mean_over_shots, merge_backgrounds, vote_foreground


def test_probabilities_are_averaged_and_not_logits():
    logits = torch.tensor([[[[0.0, 6.0]]], [[[4.0, 0.0]]], [[[0.0, 1.0]]]])  # (K=3, B=1, N=1, 2)
    expected = sum(torch.sigmoid(torch.tensor(value)) for value in (6.0, -4.0, 1.0)) / 3
    torch.testing.assert_close(mean_over_shots(logits)[0, 0, 1], expected)


def test_a_pixel_is_of_the_strongest_class_from_a_half_on_and_presence_does_not_gate_it():
    foreground = torch.tensor([[[0.2, 0.5, 0.9, 0.6]], [[0.4, 0.5, 0.3, 0.8]], [[0.1, 0.2, 0.95, 0.1]]])
    maps = torch.stack([1 - foreground, foreground], dim=1)[None]  # (1, 3, 2, 1, 4)
    classes = torch.tensor([[[0.5, 0.5], [0.9, 0.1], [0.4, 0.6]]])
    answer = decide(classes, maps)
    assert answer.labels.tolist() == [[[0, 1, 3, 2]]]
    assert answer.present.tolist() == [[False, False, True]]


def test_the_background_is_the_mean_of_log_probabilities():
    log_maps = torch.log_softmax(torch.randn(1, 3, 2, 4, 5, generator=torch.Generator().manual_seed(0)), dim=2)
    merged = merge_backgrounds(log_maps, (8, 11))
    torch.testing.assert_close(merged[0, 0], resize_corners(log_maps[0, :, 0].mean(0), (8, 11)))
    torch.testing.assert_close(merged[0, 2], resize_corners(log_maps[0, 1, 1], (8, 11)))


def test_a_class_is_there_by_half_of_the_votes():
    low, high = torch.tensor([[3.0, 0.0]]).log_softmax(1)[0], torch.tensor([[0.0, 3.0]]).log_softmax(1)[0]
    shots = torch.stack([torch.stack([high, low]), torch.stack([low, low]), torch.stack([high, low]), torch.stack([low, high])])
    answer, votes, _ = decide_by_votes(shots[:, None, :, :, None, None].expand(-1, 1, 2, 2, 3, 4), (6, 7))
    assert votes.tolist() == [[2, 1]]
    assert answer.present.tolist() == [[True, False]]
    assert is_present(shots[0][None, :, :, None, None]).tolist() == [[True, False]]


@pytest.mark.parametrize(("official", "expected"), [(False, [[0, 0, 0, 1]]), (True, [[0, 0, 1, 1]])])
def test_votes_are_counted_against_the_shots_or_as_published_against_the_highest(official, expected):
    votes = torch.tensor([[[0, 1, 2, 3]]])
    assert vote_foreground(votes, 5, official=official).int().tolist() == [expected]
