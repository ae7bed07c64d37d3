"""Small data sets, made on the spot."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def shared():
    """The real data sets beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not there")
    return SHARED


@pytest.fixture
def put(tmp_path):
    """A function that writes images, masks, JSON or text under the test's folder, by the kind of its content."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray):
            Image.fromarray(content).save(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
        return path

    write.folder = tmp_path
    return write


@pytest.fixture
def photo():
    """An image of 7 rows and 10 columns."""
    return np.random.default_rng(5).integers(0, 256, (7, 10, 3), dtype=np.uint8)


@pytest.fixture
def mask():
    """Classes 1 and 2 and a spot to ignore: a line one pixel wide, a hole, parts that touch at a corner."""
    values = np.zeros((7, 10), np.uint8)
    values[0, :] = 1
    values[2:5, 1:4] = 2
    values[3, 2] = 0
    values[5, 4] = 2
    values[6, 9] = 255
    return values
