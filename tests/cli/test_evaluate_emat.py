"""The command that repeats EMAT's public table, on made data."""

import re
import sys
from pathlib import Path

import pytest

from likewise.methods.emat.model import untrained
from likewise.weights import Card, write_checkpoint

sys.path.append(str(Path(__file__).parents[1] / "episodes"))
from benchmarks_made import pascal_folder


@pytest.mark.parametrize(("augment", "beside"), [("none", "82.7 |  | 63.4"), ("partial", "82.9 |  | 63.3"), ("full", "81.2 |  | 63.2")])
def test_each_setting_of_the_table_runs_with_the_checkpoint_of_the_fold_beside_the_published_row(run, tmp_path, augment, beside):
    root = pascal_folder(tmp_path / "voc")
    write_checkpoint(untrained(4 * 3).state_dict(), tmp_path / "emat-0.safetensors", Card("emat", {"side": 56}, {"name": "random:vit-tiny-14"}))
    asked = ("--own-lists", "--fold", 0, "--episodes", 3, "--engine", "torch", "--out", tmp_path / "out")  # as the data here need it
    checkpoint = ("--checkpoint", tmp_path / "emat-{fold}.safetensors", "--set", "official=true", "--trained-on", "strict-folds")
    code, out, err = run("evaluate", "emat", f"pascal-5i:{root}", "--way", 2, "--shot", 1, "--augment", augment, *checkpoint, *asked)
    assert code == 0, err
    assert "| **emat**, here | pascal-5i, fold 0 of 3 episodes | strict-folds |" in out
    assert re.search(rf"^\| EMAT, published \| pascal-5i, .* \| {re.escape(beside)} \|", out, re.MULTILINE)
    assert "Other data" not in out
