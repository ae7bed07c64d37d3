"""Published accuracies beside ours."""

import json
from pathlib import Path

import pytest

from likewise.episodes.classification.published import accuracies_beside, published_accuracies, sources_of
from likewise.episodes.classification.running import page_of_classes

TABLES = Path(__file__).parents[3] / ".." / "shared" / "spec" / "classifiers_tables.json"


@pytest.mark.skipif(not TABLES.is_file(), reason="../shared/spec is not there")
def test_every_row_stands_in_the_table_of_sure_figures():
    sure = [row for row in json.loads(TABLES.read_text())["rows"] if not row["uncertain"]]
    known = {(row["way"], row["shot"], row.get("encoder", ""), row["value"]) for row in sure if "way" in row}
    for row in published_accuracies():
        assert (row.way, row.shot, row.encoder, row.accuracy) in known, row


def test_rows_of_the_same_method_and_encoder_stand_beside():
    (row,) = accuracies_beside("mini-imagenet", 5, 1, ["prototypical"], ["conv4"])
    assert (row.accuracy, row.interval) == (44.42, 0.84)
    encoders = {row.encoder for row in accuracies_beside("mini-imagenet", 5, 1, ["prototypical"], [""])}
    assert {"conv4", "conv6", "resnet10", "resnet18"} <= encoders
    assert accuracies_beside("mini-imagenet", 5, 2, ["prototypical"]) == []


def test_the_baseline_of_the_one_shot_runs_stands_beside_every_method():
    assert [row.title for row in accuracies_beside("lake", 20, 1, ["matching"])] == ["modified Hausdorff distance, published"]


def test_every_benchmark_of_a_row_has_a_source():
    assert all(sources_of(row.benchmark) for row in published_accuracies())


def test_a_page_puts_them_below_ours():
    asked = {"part": "test", "way": 5, "shot": 5, "queries": 15, "episodes": 600, "fixed": False}
    record = {"label": "ours", "method": "relation", "settings": {"encoder": "resnet18"}, "benchmark": "cub", "episodes": asked, "accuracy": 80.0}
    page = page_of_classes([record | {"interval": 1.25, "rule": "sample", "protocol": "strict-folds"}]).splitlines()
    assert page[2] == "| ours | cub, test | 5 way, 5 shot, 15 queries | 600 | 80.00 ± 1.25 |"
    assert page[3] == "| relation, resnet18, published | cub | 5 way, 5 shot | | 82.75 ± 0.58 |"
    assert "| relation, resnet18, adapted further, published | cub | 5 way, 5 shot | | 83.17 |" in page
    assert any(line.startswith("- Published: Chen et al. 2019") for line in page)
