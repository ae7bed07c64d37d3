"""The protocol of an evaluation, from what a checkpoint says of itself."""

import json

import pytest
from benchmarks_made import labelled_folder

from likewise.episodes import running
from likewise.episodes.evaluation import Contender, Setting
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.provenance import trained_on_of
from likewise.episodes.views import ViewsBenchmark
from likewise.methods.cst.model import untrained
from likewise.task.learning import Place
from likewise.weights import Card, write_checkpoint

OTHER = {"benchmark": "elsewhere", "part": "train", "fold": 0, "classes": ["class-1"]}


@pytest.fixture
def benchmark(tmp_path):
    return LabelledBenchmark.open(
        labelled_folder(tmp_path / "set", {1: 3, 2: 3, 3: 3, 4: 3}, split={"train": ["class-1", "class-2"], "test": ["class-3", "class-4"]})
    )


def own(*classes, name="set"):
    return {"benchmark": name, "part": "train", "fold": 0, "classes": list(classes)}


def test_classes_that_were_trained_on_make_an_evaluation_in_domain(benchmark):
    assert trained_on_of([own("class-1", "class-2")], benchmark, "test", [0]) == "strict-folds"
    assert trained_on_of([own("class-1", "class-3")], benchmark, "test", [0]) == "in-domain"
    assert trained_on_of([own("class-1", "class-2")], benchmark, "train", [0]) == "in-domain"
    assert trained_on_of([OTHER, own("class-4")], benchmark, "test", [0]) == "in-domain"


def test_other_benchmarks_are_other_data_and_silence_is_unknown(benchmark):
    assert trained_on_of([OTHER], benchmark, "test", [0]) == "other-data"
    assert trained_on_of([], benchmark, "test", [0]) == "unknown"


def test_pictures_seen_as_views_are_in_domain(benchmark):
    assert trained_on_of([own(name="set-views")], benchmark, "test", [0]) == "in-domain"
    assert trained_on_of([own("class-1")], ViewsBenchmark(benchmark), "test", [0]) == "in-domain"


def test_a_record_says_what_the_checkpoint_says_unless_the_user_does(benchmark, tmp_path):
    path = tmp_path / "own.safetensors"
    write_checkpoint(untrained(4 * 3).state_dict(), path, Card("cst", {"side": 56}, {"name": "random:vit-tiny-14"}, [own("class-1", "class-2")]))
    contender = Contender(method="cst", checkpoint=str(path), place=Place("cpu", "torch", "float32"))
    setting = Setting(episodes=2)
    (record,) = running.run_all(running.Job(benchmark, [0]), [contender], setting)
    assert record["protocol"] == "strict-folds"
    assert record["settings"]["side"] == 56
    assert record["checkpoint"]["trained_on"][0]["classes"] == ["class-1", "class-2"]
    json.dumps(record)
    (record,) = running.run_all(running.Job(benchmark, [0], trained_on="other-data"), [contender], setting)
    assert record["protocol"] == "other-data"
