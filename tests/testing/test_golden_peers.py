"""Golden files of the light systems to compare with: INSID3's algorithm, convpaint's features and rows."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
FILES = sorted(path for name in ("insid3", "convpaint") for path in SHARED.glob(f"peer_{name}_*"))


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_golden_files_of_peers_agree(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail
