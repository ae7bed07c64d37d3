"""Golden files of Label Anything."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
FILES = sorted(SHARED.glob("la_*.npz"))


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", [path for path in FILES if not path.stem.startswith("la_full")], ids=lambda path: path.stem)
def test_label_anything_agrees_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("la_full")], ids=lambda path: path.stem)
def test_label_anything_of_the_published_size_agrees_with_the_golden_file(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail
