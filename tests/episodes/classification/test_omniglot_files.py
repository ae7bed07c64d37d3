"""Packed characters and one-shot runs: what is written is read, and what is damaged is refused."""

import numpy as np
import pytest

from likewise.episodes.classification.omniglot import OneShotRun, hausdorff_costs, read_characters, read_runs, unpacked
from likewise.errors import InputError


def drawings(*shape, seed=1):
    return np.random.default_rng(seed).random((*shape, 105, 105)) < 0.1


def packed(planes):
    return np.packbits(planes.reshape(*planes.shape[:-2], -1), axis=-1)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "characters.npz"
    np.savez_compressed(
        found,
        **{
            "part.bits": packed(drawings(4)),
            "part.label": np.array([0, 0, 1, 1], np.int16),
            "part.drawer": np.array([1, 2, 1, 2], np.uint8),
            "part.characters": np.array(["Latin/character01", "Latin/character02"]),
            "oneshot.support.bits": packed(drawings(2, 3, seed=2)),
            "oneshot.query.bits": packed(drawings(2, 5, seed=3)),
            "oneshot.answer": np.array([[0, 1, 2, 0, 1], [2, 2, 0, 1, 1]], np.int8),
        },
    )
    return found


def test_drawings_are_unpacked_as_they_were():
    planes = drawings(2, 3)
    assert np.array_equal(unpacked(packed(planes)), planes)


def test_characters_are_read(path):
    found = read_characters(path, "part")
    assert found.names == ("Latin/character01", "Latin/character02")
    assert np.array_equal(found.ink([3, 1]), drawings(4)[[3, 1]])
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.drawers.tolist() == [1, 2, 1, 2]


def test_runs_are_read(path):
    runs = read_runs(path)
    assert [run.answer.tolist() for run in runs] == [[0, 1, 2, 0, 1], [2, 2, 0, 1, 1]]
    assert np.array_equal(runs[1].query, drawings(2, 5, seed=3)[1])
    assert np.array_equal(runs[1].support, drawings(2, 3, seed=2)[1])


def test_what_is_not_there_or_damaged_is_refused(path, tmp_path):
    with pytest.raises(InputError, match=r"holds no other\.bits"):
        read_characters(path, "other")
    with pytest.raises(InputError, match="cannot be read"):
        read_runs(tmp_path / "nowhere.npz")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match="cannot be read"):
        read_runs(path)


def test_the_error_is_the_share_of_wrong_answers():
    run = OneShotRun(drawings(3), drawings(4), np.array([0, 1, 2, 2]))
    assert run.error(np.array([0, 1, 2, 2])) == 0
    assert run.error(np.array([0, 0, 2, 1])) == 50


def test_the_baseline_finds_a_drawing_that_was_moved():
    strokes = np.zeros((3, 105, 105), bool)
    strokes[0, 20:60, 30:33] = strokes[1, 40:43, 20:70] = True
    np.fill_diagonal(strokes[2, 30:70, 30:70], val=True)
    run = OneShotRun(strokes, np.roll(strokes[[2, 0, 1, 1]], 7, axis=2), np.array([2, 0, 1, 1]))
    costs = hausdorff_costs(run)
    assert costs.shape == (4, 3)
    assert run.error(costs.argmin(axis=1)) == 0
