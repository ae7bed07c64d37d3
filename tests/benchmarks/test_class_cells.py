"""Cells of episodes: they go on where they stopped, and two of the same episodes are paired."""

import numpy as np
import pytest

from likewise.episodes.classification.benchmark import ClassBenchmark, items_of
from likewise.episodes.classification.evaluation import ClassSetting
from likewise.errors import OutputError

BENCHMARK = ClassBenchmark("numbers", {"test": items_of({name: range(10 * place, 10 * place + 9) for place, name in enumerate("abcde")})}, lambda item: None)
SETTING = ClassSetting(way=3, shot=2, queries=4, episodes=5)


class Guesses:
    """The first class for every query; counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, asked):
        self.asked += 1
        return np.zeros(sum(map(len, asked.query)), int)


def test_a_cell_that_stands_is_not_asked_again_and_one_of_more_episodes_goes_on(bench, tmp_path):
    cells, guesses = bench("class_cells"), Guesses()
    note = cells.fill(tmp_path / "cell", BENCHMARK, SETTING, lambda: guesses, {"row": "guess"})
    assert note.accuracy == pytest.approx(100 / 3)
    assert (guesses.asked, len(note.each)) == (5, 5)
    assert cells.fill(tmp_path / "cell", BENCHMARK, SETTING, lambda: guesses, {"row": "guess"}) == cells.read_note(tmp_path / "cell")
    assert guesses.asked == 5
    longer = ClassSetting(way=3, shot=2, queries=4, episodes=7)
    assert len(cells.fill(tmp_path / "cell", BENCHMARK, longer, lambda: guesses, {"row": "guess"}).each) == 7
    assert guesses.asked == 7


def test_a_cell_of_something_else_is_not_written_over(bench, tmp_path):
    cells = bench("class_cells")
    cells.fill(tmp_path / "cell", BENCHMARK, SETTING, Guesses, {"checkpoints": ["one"]})
    with pytest.raises(OutputError, match="checkpoints"):
        cells.fill(tmp_path / "cell", BENCHMARK, SETTING, Guesses, {"checkpoints": ["other"]})


def test_a_gain_is_the_mean_of_differences_over_the_same_episodes(bench):
    cells, rng = bench("class_cells"), np.random.default_rng(0)
    before, facts = rng.uniform(20, 80, 40), SETTING.facts()
    after = before + rng.normal(1.5, 0.5, 40)
    paired = cells.gain(cells.Note(0, 0, tuple(after), facts), cells.Note(0, 0, tuple(before[:31]), facts))
    differences = after[:31] - before[:31]
    assert paired.mean == pytest.approx(differences.mean())
    assert paired.half == pytest.approx(1.96 * np.sqrt(differences.var(ddof=1) / 31))
    other = cells.Note(0, 0, tuple(before), {**facts, "shot": 1})
    with pytest.raises(ValueError, match="not the same"):
        cells.gain(cells.Note(0, 0, tuple(after), facts), other)
