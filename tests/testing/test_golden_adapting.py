"""Golden files of the learners that adapt to a support, and of hallucinated features."""

from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
KINDS = ("maml", "cosine_head", "finetune", "db_index", "analogy", "shrink", "kmeans", "hallucinator")
FILES = [path for kind in KINDS for path in sorted(SHARED.glob(f"fs_{kind}_*"))]


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_adapting_learners_and_hallucination_agree_with_the_golden_files(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail
