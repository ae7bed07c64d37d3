"""Choosing pictures that cover a folder: closed cases, and the bound of the greedy choice against every other choice."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likewise.functional.coverage import covered, kinds_of_patches, most_covering


def worth(cover, weight, chosen):
    return float((cover[list(chosen)].amax(0) * weight).sum())


def test_the_first_covers_most_and_the_next_what_it_lacks():
    cover = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.1, 0.0], [0.0, 0.0, 0.0, 1.0]])
    assert [place for place, _ in most_covering(cover, torch.ones(4), 5)] == [1, 2, 0]
    assert [round(gain, 3) for _, gain in most_covering(cover, torch.ones(4), 3)] == [2.1, 1.0, 0.0]
    assert most_covering(cover, torch.tensor([0.0, 0.0, 0.0, 2.0]), 1) == [(2, 2.0)]
    assert most_covering(cover, torch.ones(4), 1, already=torch.tensor([1.0, 1.0, 0.0, 0.0])) == [(2, 1.0)]


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_no_choice_is_better_by_more_than_the_bound(seed, count):
    random = torch.Generator().manual_seed(seed)
    cover, weight = torch.rand(6, 8, generator=random), torch.rand(8, generator=random)
    chosen = most_covering(cover, weight, count)
    best = max(worth(cover, weight, each) for each in combinations(range(6), count))
    found = worth(cover, weight, [place for place, _ in chosen])
    assert found >= (1 - 1 / 2.718281828) * best - 1e-5
    assert found == pytest.approx(sum(gain for _, gain in chosen), abs=1e-4)
    assert len({place for place, _ in chosen}) == count


def test_a_picture_covers_a_kind_as_well_as_its_most_alike_patch():
    kinds = torch.eye(3)
    tokens = torch.tensor([[0.6, 0.8, 0.0], [0.8, 0.6, 0.0], [0.0, -1.0, 0.0]])
    cover, shown = covered(tokens, kinds)
    assert torch.allclose(cover, torch.tensor([0.8, 0.8, 0.0]))
    assert shown.tolist() == [True, True, False]


def test_kinds_are_patches_that_are_there_and_do_not_depend_on_their_order():
    tokens = torch.nn.functional.normalize(torch.randn(300, 12, generator=torch.Generator().manual_seed(1)), dim=1)
    kinds = kinds_of_patches([tokens[:100], tokens[100:]], 20)
    again = kinds_of_patches([tokens.flip(0)], 20)
    assert len(kinds) == 20
    assert {tuple(row.tolist()) for row in kinds} == {tuple(row.tolist()) for row in again} <= {tuple(row.tolist()) for row in tokens}
    with pytest.raises(ValueError, match="no token"):
        kinds_of_patches([torch.zeros(0, 12)], 20)
    with pytest.raises(ValueError, match="do not fit"):
        most_covering(torch.rand(3, 4), torch.ones(5), 1)
