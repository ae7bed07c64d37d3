"""Golden files of Matcher, PerSAM and GF-SAM, and whether their runners can fail."""

from pathlib import Path

import numpy as np
import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
FILES = sorted(path for name in ("matcher", "persam", "gfsam") for path in SHARED.glob(f"peer_{name}_*"))
CHANGES = {
    "peer_matcher_2shot": ("points", lambda points: points + np.array([[14, 0]], points.dtype)),
    "peer_persam_value255": ("top", lambda top: np.maximum(top - 40, 0)),
    "peer_gfsam_1shot": ("foreground", lambda flags: 1 - flags),
}


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_golden_files_of_matching_peers_agree(path):
    result = golden.run_file(path, Folders.around(SHARED))
    assert result.status == "pass", result.detail


@pytest.mark.skipif(not FILES, reason="../shared/golden is not there")
@pytest.mark.parametrize("name", CHANGES)
def test_a_golden_file_with_another_answer_fails(name, tmp_path):
    output, change = CHANGES[name]
    with np.load(SHARED / f"{name}.npz") as stored:
        content = dict(stored)
    content[f"out.{output}"] = change(content[f"out.{output}"])
    np.savez(tmp_path / f"{name}.npz", **content)
    result = golden.run_file(tmp_path / f"{name}.npz", Folders.around(SHARED))
    assert result.status != "pass"
    assert output in result.detail
