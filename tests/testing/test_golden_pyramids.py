"""Golden files of HSNet, ASNet and of what they read of a residual network."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
FILES = [path for kind in ("cst_taps", "cst_hsnet", "cst_asnet") for path in sorted(SHARED.glob(f"{kind}*"))]


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_pyramids_agree_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail
