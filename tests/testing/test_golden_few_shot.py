"""Golden files of the encoders, metric learners and protocols of classic few-shot classification."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
KINDS = ("encoder", "proto", "matching")
FILES = [path for kind in KINDS for path in sorted(SHARED.glob(f"fs_{kind}_*"))]


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_metric_learners_and_protocols_agree_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail
