"""Where tiles lie, and how their tokens are blended: against brute force, place by place."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likewise.backbones.tiles import Tiling, axis_weights, plan_tiles, tile_starts

AXES = st.tuples(st.integers(1, 90), st.integers(2, 40))


@given(AXES)
def test_tiles_cover_an_axis_exactly_and_overlap_by_an_eighth(axis):
    cells, tile = axis
    starts = tile_starts(cells, tile)
    length = min(tile, cells)
    assert {place for start in starts for place in range(start, start + length)} == set(range(cells))
    for one, other in itertools.pairwise(starts):
        assert one < other
        assert 8 * (one + tile - other) >= tile


@given(AXES)
def test_no_fewer_tiles_would_do(axis):
    cells, tile = axis
    fewer = len(tile_starts(cells, tile)) - 1
    overlap = int(np.ceil(tile / 8))
    assert fewer == 0 or fewer * tile - (fewer - 1) * overlap < cells


@given(AXES)
def test_weights_are_positive_and_sum_to_1_everywhere(axis):
    cells, tile = axis
    starts, length = tile_starts(cells, tile), min(tile, cells)
    total = np.zeros(cells)
    for start, weights in zip(starts, axis_weights(cells, length, starts), strict=True):
        assert weights.shape == (length,)
        assert (weights > 0).all()
        total[start : start + length] += weights.numpy()
    assert np.allclose(total, 1, atol=1e-5)


def test_across_an_overlap_a_tile_fades_linearly_into_the_next():
    first, second = axis_weights(10, 7, (0, 3))
    assert first.tolist() == pytest.approx([1, 1, 1, 0.875, 0.625, 0.375, 0.125])
    assert second.tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875, 1, 1, 1])


@given(st.integers(2, 60), st.integers(2, 60), st.integers(9, 400), st.sampled_from([1, 2]))
def test_a_plan_covers_the_grid_with_tiles_within_the_limit(rows, columns, most, step):
    tiling = plan_tiles((rows, columns), most, step)
    if rows * columns <= most:
        assert tiling is None
        return
    height, width = tiling.shape
    assert height * width <= most
    assert height % step == 0 or height == rows
    assert width % step == 0 or width == columns
    covered = np.zeros((rows, columns), bool)
    for row in tiling.rows:
        for column in tiling.columns:
            assert row + height <= rows
            assert column + width <= columns
            covered[row : row + height, column : column + width] = True
    assert covered.all()


def test_tiles_of_large_grids_are_nearly_square():
    for grid in ((128, 128), (96, 170), (40, 260)):
        height, width = plan_tiles(grid, 1089, 2).shape
        assert max(height / width, width / height) <= 2


def test_a_limit_that_no_tile_keeps_is_refused():
    with pytest.raises(ValueError, match="at most 3 patches"):
        plan_tiles((6, 8), 3, 2)


class TestCutAndJoin:
    tiling = Tiling((5, 7), (3, 4), (0, 2), (0, 1, 3))
    patch, prefix = 2, 3

    def test_tiles_are_cut_at_patches(self):
        view = np.arange(10 * 14 * 3).reshape(10, 14, 3).astype(np.uint8)
        tiles = self.tiling.cut(view, self.patch)
        assert len(tiles) == 6
        assert np.array_equal(tiles[4], view[4:10, 2:10])

    def test_what_all_tiles_agree_on_comes_back(self):
        whole = torch.randn(2, 5, 7, 6, generator=torch.Generator().manual_seed(0)).half()
        front = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1)).half()
        parts = [torch.cat([front, whole[:, r : r + 3, c : c + 4].reshape(2, 12, 6)], dim=1) for r in (0, 2) for c in (0, 1, 3)]
        joined = self.tiling.join(parts, self.prefix)
        assert joined.dtype == torch.float16
        torch.testing.assert_close(joined[:, 3:], whole.reshape(2, 35, 6), atol=2e-3, rtol=0)
        torch.testing.assert_close(joined[:, :3], front, atol=2e-3, rtol=0)

    def test_prefix_tokens_are_averaged(self):
        parts = [torch.full((2, 3 + 12, 6), float(index)) for index in range(6)]
        assert torch.equal(self.tiling.join(parts, self.prefix)[:, :3], torch.full((2, 3, 6), 2.5))

    def test_two_tiles_that_disagree_meet_without_a_jump(self):
        tiling = Tiling((2, 12), (2, 8), (0,), (0, 4))
        joined = tiling.join([torch.zeros(1, 16, 1), torch.ones(1, 16, 1)], 0).reshape(2, 12)
        assert joined.diff(dim=1).max() == pytest.approx(1 / 4)
        assert joined[1].tolist() == pytest.approx([0, 0, 0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1, 1, 1])
