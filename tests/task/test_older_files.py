"""Every task file that a version of the program wrote is opened by this one, and says what it said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import likewise
from likewise.task.file import FORMAT_VERSION
from likewise.testing.conformance import picture

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_a_task_of_every_format_opens_predicts_and_grows(version):
    task = likewise.load(FIXTURES / f"task-format-{version}.task", device="cpu", engine="torch", precision="float32")
    assert dict(task.classes.names) == {1: "red", 2: "green"}
    assert task.targets["brightness"].unit == "grey"
    expected = np.asarray(Image.open(FIXTURES / f"task-format-{version}.labels.png"))
    assert (task.predict(picture(7, 101, 67)[0]).labels == expected).mean() >= 0.995
    assert len(task.thumbnails) == 3
    assert len(task.forget("example-2").support) == 2
