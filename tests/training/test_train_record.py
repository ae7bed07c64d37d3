"""Logs in step with the state, and their curves."""

from xml.etree import ElementTree

import pytest

from likewise.errors import InputError
from likewise.training.curves import curves
from likewise.training.record import CsvLog, read_log


def test_rows_after_the_last_state_are_dropped_and_a_line_cut_off_too(tmp_path):
    path = tmp_path / "losses.csv"
    log = CsvLog(path, ["loss", "rate"], 0)
    for episode in (4, 8, 12):
        log.add(episode, {"loss": 1 / episode, "rate": 0.1})
    with path.open("a") as stream:
        stream.write("16,0.12")
    CsvLog(path, ["loss", "rate"], 8).add(12, {"loss": 7.0, "rate": 0.1})
    assert [(row["episode"], row["loss"]) for row in read_log(path)] == [(4, 1 / 4), (8, 1 / 8), (12, 7.0)]


def test_a_run_that_begins_leaves_no_row_of_another(tmp_path):
    path = tmp_path / "losses.csv"
    CsvLog(path, ["loss"], 0).add(4, {"loss": 1.0})
    CsvLog(path, ["loss"], 0)
    assert read_log(path) == []


def test_a_file_that_is_no_log_is_bad_input(tmp_path):
    (tmp_path / "losses.csv").write_text("loss,episode\n1,2\n")
    with pytest.raises(InputError, match="no log"):
        read_log(tmp_path / "losses.csv")


def test_curves_show_each_column_within_the_picture_the_loss_falling_downwards():
    losses = [{"episode": 4.0 * step, "loss": 1 / step, "masks": 0.5 / step, "rate": 0.1} for step in range(1, 1001)]
    root = ElementTree.fromstring(curves(losses, [{"episode": 2000.0, "miou": 30.0}, {"episode": 4000.0, "miou": 40.0}], "a <title>"))
    lines = [[tuple(map(float, pair.split(","))) for pair in line.get("points").split()] for line in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(line) > 1 for line in lines] == [True] * 3
    assert all(0 <= x <= float(root.get("width")) and 0 <= y <= float(root.get("height")) for line in lines for x, y in line)
    assert lines[0][0][1] < lines[0][-1][1]  # y runs down
    assert len(lines[0]) <= 400
