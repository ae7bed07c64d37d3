"""A checkpoint for each fold, named once: what is evaluated, what the record says, what is missing is said first."""

import json

import pytest
from benchmarks_made import labelled_folder

from likewise.episodes.evaluation import Contender, Runner, Setting
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.running import Job, run_all
from likewise.errors import WeightsError
from likewise.methods.cst.model import untrained
from likewise.task.learning import Place
from likewise.weights import Card, write_checkpoint

SETTING = Setting(episodes=4)


@pytest.fixture
def data(tmp_path):
    return LabelledBenchmark.open(labelled_folder(tmp_path / "colours", {1: 3, 2: 3, 3: 3, 4: 3}), folds=2)


@pytest.fixture
def folder(tmp_path, data):
    """Two checkpoints, each trained on the classes of the other fold."""
    for fold in (0, 1):
        classes = [data.class_names[number] for number in data.images("test", 1 - fold).by_class]
        told = [{"benchmark": data.name, "part": "train", "fold": fold, "classes": classes}]
        card = Card("cst", {"side": 56}, {"name": "random:vit-tiny-14"}, told)
        write_checkpoint(untrained(4 * 3, seed=fold).state_dict(), tmp_path / f"cst-{fold}.safetensors", card)
    return tmp_path


def contender(checkpoint):
    return Contender(method="cst", checkpoint=str(checkpoint), place=Place("cpu", "torch", "float32"))


def test_every_fold_is_answered_with_its_own(data, folder):
    (record,) = run_all(Job(data, [0, 1], folder / "out"), [contender(folder / "cst-{fold}.safetensors")], SETTING)
    alone = [run_all(Job(data, [fold]), [contender(folder / f"cst-{fold}.safetensors")], SETTING)[0]["folds"][0]["scores"] for fold in (0, 1)]
    swapped = run_all(Job(data, [1]), [contender(folder / "cst-0.safetensors")], SETTING)[0]["folds"][0]["scores"]
    assert [fold["scores"] for fold in record["folds"]] == alone
    assert swapped != alone[1]
    named = {fold: weights["checkpoint"]["name"] for fold, weights in record["weights_of_folds"].items()}
    assert named == {"0": "cst-0.safetensors", "1": "cst-1.safetensors"}
    assert record["protocol"] == "strict-folds"
    assert json.loads(next(folder.glob("out/*/*/record.json")).read_text())["weights_of_folds"] == record["weights_of_folds"]


def test_one_checkpoint_for_all_folds_is_trained_on_some_of_their_classes(data, folder):
    (record,) = run_all(Job(data, [0, 1]), [contender(folder / "cst-0.safetensors")], SETTING)
    assert record["protocol"] == "in-domain"
    assert "weights_of_folds" not in record
    runner = Runner(contender(folder / "cst-0.safetensors"))
    assert runner.of_fold(1) is runner


def test_the_checkpoint_of_a_later_fold_that_is_missing_is_named_before_the_first_begins(data, folder):
    (folder / "cst-1.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"cst-1\.safetensors"):
        run_all(Job(data, [0, 1], folder / "out"), [contender(folder / "cst-{fold}.safetensors")], SETTING)
    assert not (folder / "out").exists()
