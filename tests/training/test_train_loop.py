"""Training as a whole: the loss falls, a run that was killed goes on as if nothing had been, two processes do what one does."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from likewise.backbones import load_backbone
from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.errors import InputError, OutputError, UsageError, WeightsError
from likewise.methods.convert import convert_checkpoint
from likewise.task.equipping import equip
from likewise.training.loop import BEST, LAST, LOSSES, VALIDATIONS, _told, train
from likewise.training.machine import share_gradients
from likewise.training.recipe import read_recipe
from likewise.training.record import read_log
from likewise.weights import Card, read_card, write_checkpoint

KILLED = """
import os, signal, sys
from pathlib import Path
from likewise.training import loop
from likewise.training.recipe import read_recipe
from likewise.training.state import write_atomic
from likewise.training.watching import Silent
import likewise.training.state as state
import torch

torch.set_num_threads(1)
recipe, out, moment = sys.argv[1:]

class Killer(Silent):
    def step(self, episodes, loss):
        if moment == "after a step" and episodes == 20:
            os.kill(os.getpid(), signal.SIGKILL)

def cut(path, content):
    if moment == "while a state is written" and b'"episodes": 24' in content:
        os.kill(os.getpid(), signal.SIGKILL)
    write_atomic(path, content)

state.write_atomic = cut
loop.train(read_recipe(Path(recipe)), Path(out), watcher=Killer())
"""


def same(one, two):
    left, right = load_file(one), load_file(two)
    return left.keys() == right.keys() and all(torch.equal(tensor, right[name]) for name, tensor in left.items())


@pytest.fixture
def undisturbed(recipe_file, tmp_path):
    train(read_recipe(recipe_file), tmp_path / "undisturbed")
    return tmp_path / "undisturbed"


@pytest.mark.parametrize("moment", ["after a step", "while a state is written"])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(recipe_file, tmp_path, undisturbed, moment):
    out = tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", KILLED, str(recipe_file), str(out), moment], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (out / LAST).exists()
    train(read_recipe(recipe_file), out)
    assert all((out / name).read_bytes() == (undisturbed / name).read_bytes() for name in (LAST, BEST))
    assert [(out / name).read_text() for name in (LOSSES, VALIDATIONS)] == [(undisturbed / name).read_text() for name in (LOSSES, VALIDATIONS)]
    assert [path.name for path in out.glob("state-*")] == ["state-40.safetensors"]


def test_two_processes_have_the_losses_and_scores_of_one(recipe_file, tmp_path):
    changes = ["episodes=12", "validation.every=12"]
    train(read_recipe(recipe_file, changes), tmp_path / "one")
    train(read_recipe(recipe_file, [*changes, "machine.accelerator=cpu", "machine.devices=2"]), tmp_path / "two")
    one, two = (load_file(tmp_path / name / LAST) for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5)
    for log in (LOSSES, VALIDATIONS):
        for left, right in zip(read_log(tmp_path / "one" / log), read_log(tmp_path / "two" / log), strict=True):
            assert left == pytest.approx(right, rel=1e-4)


def test_gradients_are_added_up_and_what_no_process_used_keeps_none():
    sent = [torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 5.0, 6.0, 7.0, 0.0])]

    class Other:
        """A process beside this one, which used the second of three parameters."""

        world_size, device = 2, "cpu"

        def all_reduce(self, tensor, reduce_op):
            assert reduce_op == "sum"
            return tensor + sent.pop(0)

    parameters = [torch.nn.Parameter(torch.zeros(size)) for size in (2, 3, 1)]
    parameters[0].grad = torch.tensor([1.0, 2.0])
    share_gradients(Other(), parameters)
    assert [None if one.grad is None else one.grad.tolist() for one in parameters] == [[1.0, 2.0], [5.0, 6.0, 7.0], None]


def test_the_checkpoint_of_the_best_validation_is_kept(recipe_file, tmp_path, monkeypatch):
    scripted = iter([10.0, 30.0, 20.0])
    monkeypatch.setattr("likewise.training.validation.Validation.scores", lambda *_: {"exact_ratio": 0.0, "miou": next(scripted), "miou_official": 0.0})
    outcome = train(read_recipe(recipe_file, ["episodes=12", "validation.every=4", "schedule.name=constant"]), tmp_path / "run")
    assert (outcome.best.episodes, outcome.best.scores["miou"]) == (8, 30.0)
    monkeypatch.setattr("likewise.training.validation.Validation.scores", lambda *_: {"exact_ratio": 0.0, "miou": 1.0, "miou_official": 0.0})
    train(read_recipe(recipe_file, ["episodes=8"]), tmp_path / "short")
    assert same(tmp_path / "run" / BEST, tmp_path / "short" / LAST)
    assert not same(tmp_path / "run" / BEST, tmp_path / "run" / LAST)


def test_the_loss_falls_and_the_checkpoint_is_one_that_the_method_takes(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file, ["episodes=160", "optimiser.rate=3e-3", "schedule.name=cosine", "validation.every=80"])
    outcome = train(recipe, tmp_path / "run")
    assert outcome.losses[1] < 0.9 * outcome.losses[0]
    assert outcome.checkpoint.name == BEST
    method, manifest = (ready := equip("cst", "default", {}, outcome.checkpoint)).method, ready.weights
    assert method.settings.side == 56
    assert method.trained
    assert manifest["checkpoint"]["name"] == BEST
    assert (tmp_path / "run/curves.svg").read_text().startswith("<svg")


def test_a_checkpoint_knows_its_settings_its_backbone_and_its_classes(recipe_file, tmp_path):
    changes = ["episodes=8", "method.pseudo=walk", "method.supervision=pseudo", "method.threshold=0.7"]
    outcome = train(read_recipe(recipe_file, changes), tmp_path / "run")
    card = read_card(outcome.checkpoint)
    assert card.settings == {"side": 56, "pseudo": "walk", "threshold": 0.7}
    assert card.backbone["name"] == "random:vit-tiny-14"
    assert [(source["benchmark"], source["classes"]) for source in card.trained_on] == [("shapes", ["red", "green", "blue"]), ("loose-views", ["object"])]
    assert card.origin["episodes"] == 8
    ready = equip("cst", "default", {}, outcome.checkpoint)
    assert ready.backbone == "random:vit-tiny-14"
    ready.check(load_backbone("random:vit-tiny-14"))


def test_training_begins_from_no_checkpoint_of_another_backbone_or_method(recipe_file, tmp_path):
    outcome = train(read_recipe(recipe_file, ["episodes=4"]), tmp_path / "run")
    with pytest.raises(WeightsError, match="trained on the backbone"):
        train(read_recipe(recipe_file, [f"method.start={outcome.checkpoint}", "backbone.name=random:vit-tiny-8"]), tmp_path / "other")
    write_checkpoint({"a": torch.ones(2)}, tmp_path / "a.safetensors", Card("hsnet"))
    with pytest.raises(WeightsError, match="of the method 'hsnet'"):
        train(read_recipe(recipe_file, [f"method.start={tmp_path / 'a.safetensors'}"]), tmp_path / "other")


def test_a_folder_takes_no_other_images(recipe_file, tmp_path, loose):
    train(read_recipe(recipe_file, ["episodes=4"]), tmp_path / "run")
    facts = json.loads((loose / "dataset.json").read_text())
    (loose / "dataset.json").write_text(json.dumps({**facts, "split": {"train": ["thing_0", "thing_2"]}}))
    with pytest.raises(OutputError, match="images differ"):
        train(read_recipe(recipe_file, ["episodes=4"]), tmp_path / "run")


def test_a_finished_run_is_not_run_again_and_its_folder_takes_no_other(recipe_file, undisturbed):
    before = (undisturbed / LAST).read_bytes()
    train(read_recipe(recipe_file), undisturbed)
    assert (undisturbed / LAST).read_bytes() == before
    with pytest.raises(OutputError, match="another run"):
        train(read_recipe(recipe_file, ["seed=4"]), undisturbed)
    train(read_recipe(recipe_file, ["seed=4"]), undisturbed, anew=True)
    assert (undisturbed / LAST).read_bytes() != before


def test_a_switch_that_is_not_used_leaves_older_runs_theirs(recipe_file):
    plain, whole = read_recipe(recipe_file), read_recipe(recipe_file, ["source.1.empty=false"])
    assert all("empty" not in section for section in (*_told(plain)["source"], _told(plain)["validation"]))
    assert [section.get("empty") for section in _told(whole)["source"]] == [None, False]


def test_a_damaged_state_is_said_and_nothing_is_overwritten(recipe_file, undisturbed):
    (path,) = undisturbed.glob("state-*")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="missing or damaged"):
        train(read_recipe(recipe_file), undisturbed)


def test_cached_features_give_the_same_weights_and_are_seen_once(recipe_file, tmp_path, undisturbed):
    changes = ["backbone.features=cache", f"backbone.folder={tmp_path / 'kept'}"]
    train(read_recipe(recipe_file, changes), tmp_path / "cached")
    assert same(tmp_path / "cached" / LAST, undisturbed / LAST)
    kept = {path: path.stat().st_ino for path in (tmp_path / "kept").rglob("*.safetensors")}
    assert kept
    train(read_recipe(recipe_file, changes), tmp_path / "again")
    assert {path: path.stat().st_ino for path in (tmp_path / "kept").rglob("*.safetensors")} == kept


def test_the_enhancer_is_trained_first_and_the_learner_begins_from_it(recipe_file, tmp_path):
    alone = ["method.part=enhancer", "source.0.masks=50", "source.0.only_masked=true", "episodes=12"]
    with pytest.raises(UsageError, match="answers nothing"):
        train(read_recipe(recipe_file, alone), tmp_path / "enhancer")
    text = recipe_file.read_text()
    recipe_file.write_text(text[: text.index("[validation]")])
    outcome = train(read_recipe(recipe_file, alone), tmp_path / "enhancer")
    enhancer = load_file(outcome.checkpoint)
    assert {name.split(".")[0] for name in enhancer} == {"enhancer"}
    mixed = train(read_recipe(recipe_file, ["source.0.masks=50", f"method.start={outcome.checkpoint}", "episodes=8"]), tmp_path / "mixed")
    tensors = load_file(mixed.checkpoint)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in enhancer.items())
    assert "linear.0.weight" in tensors


def test_pseudo_masks_by_a_resnet_are_trained_with_and_the_checkpoint_brings_it(recipe_file, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResNet(ResNetConfig(blocks=(1, 1, 1, 2), base=4, stem=(8,)))
    save_file(network.state_dict(), tmp_path / "resnet.safetensors")
    convert_checkpoint("cst", tmp_path / "resnet.safetensors", tmp_path / "start.safetensors")
    changes = [f"method.start={tmp_path / 'start.safetensors'}", "method.pseudo=pooled", "method.supervision=pseudo", "validation.support=tag"]
    short = ["episodes=2", "batch=2", "validation.every=2", "validation.episodes=2"]
    outcome = train(read_recipe(recipe_file, [*changes, *short]), tmp_path / "run")
    tensors, begun = load_file(outcome.checkpoint), load_file(tmp_path / "start.safetensors")
    assert all(torch.equal(tensors[name], tensor) for name, tensor in begun.items())
    assert read_card(outcome.checkpoint).settings["pseudo"] == "pooled"
    assert equip("cst", "default", {}, outcome.checkpoint).method.wants()[1].backbone is None


def test_bfloat16_trains_too_and_keeps_the_weights_in_float32(recipe_file, tmp_path):
    outcome = train(read_recipe(recipe_file, ["machine.precision=bf16", "episodes=8"]), tmp_path / "run")
    assert {tensor.dtype for tensor in load_file(outcome.checkpoint).values()} == {torch.float32}
    assert all(0 < row["loss"] < 2 for row in read_log(tmp_path / "run" / LOSSES))


def test_a_loss_that_is_no_number_ends_the_run(recipe_file, tmp_path):
    with pytest.raises(InputError, match="the loss is"):
        train(read_recipe(recipe_file, ["optimiser.name=sgd", "optimiser.rate=1e30", "episodes=40"]), tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ("method.name=prototype", UsageError, "is not trained"),
        ("method.sid=3", UsageError, "did you mean 'side'"),
        ("method.supervision=none", UsageError, "supervision"),
        ("source.0.part=test", InputError, "test"),
        ("validation.shot=4", InputError, "4 shots"),
        ("method.start=nowhere.safetensors", Exception, "not there"),
    ],
)
def test_what_a_recipe_names_is_checked_before_the_first_step(recipe_file, tmp_path, change, kind, words):
    with pytest.raises(kind, match=words):
        train(read_recipe(recipe_file, [change]), tmp_path / "run")
    assert not (tmp_path / "run" / LOSSES).exists()


def test_the_global_random_state_is_untouched(recipe_file, tmp_path):
    before = torch.random.get_rng_state()
    train(read_recipe(recipe_file, ["episodes=4"]), tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), before)
