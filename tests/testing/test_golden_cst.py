"""Golden files of CST and of the benchmarks that it shares with its baselines."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
KINDS = ("cst_pseudomask", "cst_model", "cst_losses", "cst_kshot", "cst_metrics", "cst_data", "cst_episodes")
FILES = [path for kind in KINDS for path in sorted(SHARED.glob(f"{kind}*"))]


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cst_agrees_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail


def test_a_json_file_that_does_not_say_its_kind_is_known_by_its_name():
    assert golden.kinds.runner_of("cst_episodes_more", named=False) is golden.kinds.runner_of("cst_episodes")
    assert golden.kinds.runner_of("cst_episodes_more") is None
    assert golden.kinds.runner_of("la_coco", named=False) is None
