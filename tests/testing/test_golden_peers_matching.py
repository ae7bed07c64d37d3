"""Golden files of Matcher, PerSAM and GF-SAM, and whether their runners can fail."""

import numpy as np
import pytest
from golden_files import agrees, compared, each_file

CHANGES = {
    "peer_matcher_2shot": ("points", lambda points: points + np.array([[14, 0]], points.dtype)),
    "peer_persam_value255": ("top", lambda top: np.maximum(top - 40, 0)),
    "peer_gfsam_1shot": ("foreground", lambda flags: 1 - flags),
}


@each_file("peer_matcher_*", "peer_persam_*", "peer_gfsam_*")
def test_the_golden_files_of_matching_peers_agree(path):
    agrees(path)


@pytest.mark.parametrize("name", CHANGES)
def test_a_golden_file_with_another_answer_fails(name, shared, tmp_path):
    output, change = CHANGES[name]
    with np.load(shared / "golden" / f"{name}.npz") as stored:
        content = dict(stored)
    content[f"out.{output}"] = change(content[f"out.{output}"])
    np.savez(tmp_path / f"{name}.npz", **content)
    result = compared(tmp_path / f"{name}.npz")
    assert result.status != "pass"
    assert output in result.detail
