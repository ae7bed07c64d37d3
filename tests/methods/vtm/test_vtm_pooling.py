"""What of a support is averaged where it is remembered: nothing, blocks of a grid, or all."""

from dataclasses import replace

import pytest
import torch
from vtm_small import noise, small_vtm

from likewise.errors import UsageError
from likewise.methods.vtm.pooling import Pooling
from likewise.methods.vtm.settings import VtmSettings

SIDE = 48


def test_blocks_of_a_grid_are_averaged_example_by_example_and_row_by_row():
    rows = noise(0, 2, 3 * 4 * 6, 5)  # three examples of a grid (4, 6)
    found = Pooling("region", 2)(rows, (4, 6))
    assert found.shape == (2, 3 * 4, 5)
    maps = rows.reshape(2, 3, 4, 6, 5)
    torch.testing.assert_close(found.reshape(2, 3, 2, 2, 5)[1, 2, 0, 1], maps[1, 2, :2, 3:].mean((0, 1)))
    torch.testing.assert_close(found.reshape(2, 3, 2, 2, 5)[0, 1, 1, 0], maps[0, 1, 2:, :3].mean((0, 1)))


def test_patches_stay_as_they_are_and_so_do_blocks_of_one():
    rows = noise(0, 1, 2 * 4 * 6, 5)
    assert Pooling()(rows, (4, 6)) is rows
    torch.testing.assert_close(Pooling("region", 9)(rows, (4, 6)), rows)


def test_without_matching_every_place_of_every_query_reads_the_mean_value_of_the_support():
    vtm = replace(small_vtm(), pooling=Pooling("global"))
    labels = noise(1, 2, 3, SIDE, SIDE)
    with torch.no_grad():
        memory = vtm.remember(noise(2, 3, 3, SIDE, SIDE), labels)
        assert [values.shape[1] for values in memory.values] == [1] * 4
        for level, read in enumerate(vtm.matched(noise(3, 2, 3, SIDE, SIDE), memory)):
            layer = vtm.head.level(level)
            mean = layer.values(vtm.head.label_tokens(labels.flatten(0, 1))[level]).unflatten(0, (2, 3)).mean((1, 2))
            mixed = layer.ln(mean)
            expected = mixed + torch.nn.functional.gelu(layer.fc_o(mixed))
            torch.testing.assert_close(read, expected[None, :, None].expand_as(read), atol=1e-5, rtol=1e-4)


def test_regions_lie_between_patches_and_everything():
    images, labels = noise(2, 3, 3, SIDE, SIDE), noise(1, 2, 3, SIDE, SIDE)
    rows = {name: replace(small_vtm(), pooling=Pooling(name, 2)).remember(images, labels).keys[0].shape[1] for name in ("patch", "region", "global")}
    assert rows == {"patch": 3 * 36, "region": 3 * 4, "global": 1}


@pytest.mark.parametrize("wrong", [{"matching": "pixel"}, {"regions": 0}])
def test_a_fineness_that_there_is_not_is_refused(wrong):
    with pytest.raises(UsageError, match="patch, region, global"):
        VtmSettings(**wrong).check()
