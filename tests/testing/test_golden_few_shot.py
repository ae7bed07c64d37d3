"""Golden files of the encoders, metric learners and protocols of classic few-shot classification."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
KINDS = ("encoder", "proto", "matching", "relation", "zero_shot_relation", "episodes", "interval", "omniglot_images")
SLOW = ("siamese", "lake_runs")


def files(kinds):
    return [path for kind in kinds for path in sorted(SHARED.glob(f"fs_{kind}_*"))]


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/golden is not there")
@pytest.mark.parametrize("path", files(KINDS), ids=lambda path: path.stem)
def test_metric_learners_and_protocols_agree_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail


@pytest.mark.slow
@pytest.mark.parametrize("path", files(SLOW), ids=lambda path: path.stem)
def test_networks_of_full_size_and_all_one_shot_runs_agree_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail
