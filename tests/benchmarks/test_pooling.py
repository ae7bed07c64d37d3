"""Reading labels off a support by units: the pure functions behind docs/matching.md."""

import pytest
import torch
from torch.nn.functional import normalize

GRID = (4, 6)
WIDTH, CHANNELS = 5, 2


@pytest.fixture
def pooling(bench):
    return bench("pooling")


def made(pooling, seed, grid=GRID):
    """A picture of random patches, of which some are unknown."""
    generator = torch.Generator().manual_seed(seed)
    count = grid[0] * grid[1]
    tokens = normalize(torch.randn(count, WIDTH, generator=generator), dim=1)
    weight = (torch.rand(count, generator=generator) > 0.3).float()
    return pooling.Picture(tokens, torch.randn(count, CHANNELS, generator=generator), weight, grid)


def test_every_patch_alone_is_what_attention_says(pooling):
    query, support = made(pooling, 0), [made(pooling, 1), made(pooling, 2, (3, 5))]
    units = pooling.Units("patch")
    tokens, values, weight = (torch.cat([getattr(picture, name) for picture in support]) for name in ("tokens", "values", "weight"))
    attention = torch.exp(query.tokens @ tokens.T / 0.3) * weight
    expected = (attention / attention.sum(1, keepdim=True)) @ values
    assert torch.allclose(pooling.answer(query, support, units, units, 0.3), expected, atol=1e-5)


@pytest.mark.parametrize(("units", "count"), [(("patch", 1), 24), (("block", 2), 6), (("block", 4), 2), (("alike", 7), 7), (("image", 1), 1), (("few", 5), 5)])
def test_units_are_averages_of_what_is_known_in_them(pooling, units, count):
    picture = made(pooling, 3)
    found = pooling.cut(picture, pooling.Units(*units))
    assert found.tokens.shape == (count, WIDTH)
    assert found.tokens.norm(dim=1) == pytest.approx(torch.ones(count))
    for unit in range(count):
        inside = (found.unit == unit) & (picture.weight > 0)
        assert found.weight[unit] == inside.sum()
        if inside.any():
            assert torch.allclose(found.values[unit], picture.values[inside].mean(0), atol=1e-5)


def test_a_block_is_a_square_of_neighbours(pooling):
    numbers = pooling.unit_of(made(pooling, 3), pooling.Units("block", 2)).reshape(GRID)
    assert numbers.tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2


def test_a_region_holds_what_looks_alike(pooling):
    kinds = torch.tensor([0, 1, 2]).repeat(8)
    tokens = normalize(torch.eye(WIDTH)[kinds] + 0.05 * torch.randn(24, WIDTH, generator=torch.Generator().manual_seed(1)), dim=1)
    found = pooling.alike(tokens, 3)
    assert all(len(found[kinds == kind].unique()) == 1 for kind in range(3))
    assert len(found.unique()) == 3


def test_whole_images_say_the_same_of_every_patch_and_their_maps_do_not(pooling):
    query, support = made(pooling, 0), [made(pooling, 1), made(pooling, 2)]
    image = pooling.Units("image")
    answer = pooling.answer(query, support, image, image, 0.1)
    assert torch.allclose(answer, answer[:1].expand_as(answer))
    known = [pooling.Picture(picture.tokens, picture.values, torch.ones(24), GRID) for picture in support]
    assert torch.allclose(pooling.copied(query, known[:1], 0.1), known[0].values, atol=1e-5)


def test_the_temperature_is_low_where_only_the_very_same_tokens_have_the_value_and_high_where_tokens_say_nothing(pooling):
    tokens = normalize(torch.eye(WIDTH)[torch.arange(24) % WIDTH] + 0.8, dim=1)
    telling = torch.stack([tokens[:, 0], -tokens[:, 2]], dim=1)
    alike = [pooling.Picture(tokens, telling, torch.ones(24), GRID)] * 3
    units = (pooling.Units("patch"),) * 2
    assert pooling.best_temperature(alike, *units) == pooling.TEMPERATURES[0]
    noise = [pooling.Picture(tokens, torch.randn(24, 1, generator=torch.Generator().manual_seed(seed)), torch.ones(24), GRID) for seed in range(3)]
    assert pooling.best_temperature(noise, *units) == pooling.TEMPERATURES[-1]


def test_one_example_is_left_out_by_quarters(pooling):
    picture = made(pooling, 4)
    parts = pooling.quarters(picture)
    assert [part.grid for part in parts] == [(2, 3)] * 4
    assert torch.equal(parts[1].tokens, picture.tokens.reshape(*GRID, WIDTH)[:2, 3:].reshape(-1, WIDTH))
    assert pooling.best_temperature([picture], pooling.Units("patch"), pooling.Units("alike", 2)) in pooling.TEMPERATURES
