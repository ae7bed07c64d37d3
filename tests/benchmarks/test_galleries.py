"""The galleries of CST: which cases are shown, and what a token map is."""

import numpy as np
import pytest
import torch

from likewise.backbones import ImageFeatures


@pytest.fixture
def galleries(bench):
    return bench("galleries")


def test_the_best_the_middle_and_the_worst_are_shown_by_rule(galleries):
    scores = [0.4, 0.9, 0.0, 0.7, 0.7, 0.1, 0.5]
    found = galleries.chosen("abcdefg", scores, 2)
    assert found == {"best": ["b", "d"], "median": ["e", "g"], "worst": ["c", "f"]}
    assert galleries.chosen("abcdefg", scores, 1)["median"] == ["g"]  # 0.5 is the median of the seven
    assert galleries.chosen("ab", [0.2, 0.3], 3) == {"best": ["b", "a"], "median": ["b", "a"], "worst": ["a", "b"]}


def test_what_is_not_known_counts_nowhere_in_the_overlap(galleries):
    one, other, known = (np.array(row, bool) for row in ([1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1]))
    assert galleries.overlap(one, other, known) == pytest.approx(1 / 3)
    assert galleries.overlap(one & False, other & False, known) == 0


def test_a_token_map_is_bright_where_the_query_looks_like_what_the_mask_shows(galleries):
    layers, heads, width, grid = 3, 2, 8, (12, 12)
    thing, ground = torch.eye(width)[0] + torch.eye(width)[4], torch.eye(width)[1] + torch.eye(width)[5]
    left = torch.zeros(grid, dtype=torch.bool)
    left[:, :4] = True

    def picture(where):
        tokens = torch.where(where.reshape(-1, 1), thing, ground).expand(layers, -1, -1)
        return ImageFeatures(tokens, torch.ones(layers, 1, width), grid, (120, 120))

    support, query = picture(left), picture(left.flip(1))
    maps = galleries.token_maps(query, support, np.kron(left.numpy(), np.ones((10, 10))) > 0, heads)
    assert maps.shape == (layers, heads, *grid)
    assert float(maps[..., left.flip(1)].min()) > 0.6
    assert float(maps[..., ~left.flip(1)].max()) < 0.4
    none = galleries.token_maps(query, support, np.zeros((120, 120), bool), heads)
    assert bool(torch.isfinite(none).all())


def test_a_map_has_the_size_of_the_picture(galleries):
    assert galleries.heat(torch.arange(6.0).reshape(2, 3), np.zeros((40, 70, 3), np.uint8)).shape == (40, 70, 3)
