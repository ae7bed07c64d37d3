"""Golden files of PANet and PFENet."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
FILES = [path for kind in ("cst_panet", "cst_pfenet") for path in sorted(SHARED.glob(f"{kind}*"))]


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_prototypes_and_priors_agree_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail
