import json
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).parents[2] / ".." / "shared" / "golden"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/golden is not there")


@needs_shared
def test_position_embeddings_of_the_official_code_agree(run):
    code, out, _ = run("verify", SHARED.resolve(), "--only", "cst_posembed")
    assert code == 0
    assert "5 passed, 0 failed, 0 skipped, 0 of unknown kinds" in out


@needs_shared
def test_unknown_kinds_are_named(run, tmp_path):
    (tmp_path / "cst_posembed_down.npz").write_bytes((SHARED / "cst_posembed_down.npz").read_bytes())
    for case in "ab":
        np.savez(tmp_path / f"zz_newer_{case}.npz", meta=json.dumps({"kind": "zz_newer", "case": case, "seed": 1}), **{"out.x": np.zeros(2, np.float32)})
    code, out, _ = run("verify", tmp_path)
    assert code == 0
    assert "1 passed, 0 failed, 0 skipped, 2 of unknown kinds" in out
    assert "unknown: zz_newer (2)" in out


def test_a_run_in_which_nothing_ran_exits_1(run, tmp_path):
    (tmp_path / "golden").mkdir()
    code, out, _ = run("verify", tmp_path / "golden", "--json")
    assert code == 1
    assert json.loads(out)["summary"]["passed"] == 0


def test_a_file_that_fails_exits_1(run, tmp_path):
    (tmp_path / "golden").mkdir()
    meta = {
        "kind": "cst_posembed",
        "seed": 1,
        "config": {"grid": 2, "rows": 3, "columns": 1},
        "inputs": {"pos_embed": {"uniform": "p", "shape": [1, 5, 3]}},
    }
    np.savez(
        tmp_path / "golden" / "cst_posembed_x.npz", meta=np.array(json.dumps(meta)), **{"out.plain": np.ones((1, 4, 3)), "out.official": np.ones((1, 4, 3))}
    )
    code, out, _ = run("verify", tmp_path / "golden")
    assert code == 1
    assert "FAIL" in out


def test_a_folder_that_is_not_there_is_bad_input(run, tmp_path):
    code, _, err = run("verify", tmp_path / "nowhere")
    assert code == 4
    assert "no such folder" in err
