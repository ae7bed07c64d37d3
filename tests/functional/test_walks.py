"""Random walks on patches: where they come to, how long they take, and what their chances are worth."""

import numpy as np
import pytest
import torch

from likewise.functional.walks import LARGEST, border_of, chance_to_reach, likeness, shrunk, time_to_leave, two_groups

GRID = (5, 6)


def two_kinds():
    """Tokens of a grid whose inner block (2 x 3) is of one kind, the rest of another, and which are inside."""
    inside = torch.zeros(GRID, dtype=torch.bool)
    inside[2:4, 2:5] = True
    generator = torch.Generator().manual_seed(0)
    tokens = torch.eye(8)[:2][inside.flatten().long()] + 0.05 * torch.randn(30, 8, generator=generator)
    return tokens.double(), inside.flatten()


def walked(alike, border, seeds, leaving, *, walks=4000, seed=0):
    """The same chances by walking."""
    random = np.random.default_rng(seed)
    weights = (alike - torch.diag(alike.diag())).numpy()
    found = np.zeros((len(weights), seeds.shape[1]))
    for start in range(0, len(weights), 7):
        for _ in range(walks):
            place = start
            while not seeds[place].any():
                out = leaving if border[place] else 0.0
                if random.random() < out / (1 + out):
                    break
                place = random.choice(len(weights), p=weights[place] / weights[place].sum())
            else:
                found[start, int(seeds[place].int().argmax())] += 1 / walks
    return found


def test_chances_are_those_of_walks():
    tokens, _ = two_kinds()
    seeds = torch.zeros(30, 2, dtype=torch.bool)
    seeds[14, 0], seeds[0, 1] = True, True
    alike = likeness(tokens, 2.0)
    found = chance_to_reach(alike, border_of(GRID), seeds, 0.5)
    by_walking = walked(alike, border_of(GRID), seeds, 0.5)
    assert found[::7].numpy() == pytest.approx(by_walking[::7], abs=0.03)
    assert found[14].tolist() == [1, 0]
    assert found[0].tolist() == [0, 1]


def test_a_seed_is_reached_from_what_looks_like_it():
    tokens, inside = two_kinds()
    seeds = torch.zeros(30, 1, dtype=torch.bool)
    seeds[14, 0] = True
    found = chance_to_reach(likeness(tokens, 20.0), border_of(GRID), seeds, 0.5)[:, 0]
    assert found[inside].min() > 2 * found[~inside].max()


def test_walks_that_begin_inside_take_longer_to_leave():
    tokens, inside = two_kinds()
    time = time_to_leave(likeness(tokens, 20.0), border_of(GRID))
    assert time[inside].min() > time[~inside].max()
    assert (time >= 1).all()


def test_the_border_is_one_patch_wide():
    border = border_of(GRID).reshape(GRID)
    assert border.sum() == 18
    assert not border[1:-1, 1:-1].any()
    assert border_of((1, 4)).all()


def test_large_grids_are_averaged_and_small_ones_kept():
    tokens = torch.arange(2 * LARGEST * 3.0).reshape(-1, 1)
    small, grid = shrunk(tokens, (2 * LARGEST, 3))
    assert grid == (LARGEST, 3)
    assert small[0, 0] == (tokens[0, 0] + tokens[3, 0]) / 2
    same, grid = shrunk(tokens[:30], (10, 3))
    assert grid == (10, 3)
    assert torch.equal(same, tokens[:30].double())


@pytest.mark.parametrize("seed", range(5))
def test_two_groups_are_parted_where_their_spread_within_is_least(seed):
    values = torch.cat([torch.randn(9, generator=torch.Generator().manual_seed(seed)), 4 + torch.randn(5, generator=torch.Generator().manual_seed(seed + 99))])
    values = values.double()

    def spread(cut):
        parts = [values[values < cut], values[values >= cut]]
        return sum(float(((part - part.mean()) ** 2).sum()) for part in parts)

    ordered = values.sort().values
    between = ((ordered[1:] + ordered[:-1]) / 2).tolist()
    assert spread(float(two_groups(values))) == pytest.approx(min(spread(cut) for cut in between))


def test_one_value_is_its_own_border():
    assert two_groups(torch.tensor([3.0])) == 3
