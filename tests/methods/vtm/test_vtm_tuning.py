"""Bias tuning: it learns, stops, keeps its time, goes on where it was interrupted, and never makes the held-out error worse."""

import math
from dataclasses import replace

import pytest
import torch
from vtm_small import noise, small_vtm, some_biases

from likewise.backbones.biases import repeated
from likewise.errors import InputError
from likewise.methods.vtm import tuning
from likewise.methods.vtm.adapting import adapted
from likewise.methods.vtm.tuning import Labelled, Tuner, TuningSettings, TuningState, branch_dropper, episode_loss, tune

SIDE = 48
QUICK = TuningSettings(steps=12, every=4, dropout=0.0, drop_path=0.0, learning_rate=0.01)


def examples(count=4, channels=2):
    """Labels that follow from the pictures."""
    images = noise(1, count, 3, SIDE, SIDE)
    images = torch.nn.functional.avg_pool2d(images, 9, 1, 4)
    labels = torch.stack([images[:, 0], 1 - images[:, 1]])[:channels]
    return Labelled(images, labels, torch.ones_like(labels), torch.tensor([False, True])[:channels])


@pytest.fixture(scope="module")
def vtm():
    return small_vtm()


@pytest.fixture(scope="module")
def start(vtm):
    return repeated(vtm.image, vtm.image.config.depth, 2)


def test_steps_lower_the_loss_and_move_biases_alone(vtm, start):
    before = {name: tensor.clone() for name, tensor in vtm.head.state_dict().items()} | {f"i.{n}": t.clone() for n, t in vtm.image.state_dict().items()}
    data = examples()
    tuner = Tuner(vtm, TuningState(start, start), QUICK)
    half = torch.arange(2)
    losses = [tuner.step(data.subset(half), data.subset(half + 2)) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert all(float((tuner.current()[name] - start[name]).abs().max()) > 0 for name in start)
    after = {**vtm.head.state_dict(), **{f"i.{n}": t for n, t in vtm.image.state_dict().items()}}
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_rows_of_different_channels_get_gradients_of_their_own_even_if_they_are_equal(vtm, start):
    data = examples()
    one, two = data.subset(torch.arange(2)), data.subset(torch.arange(2, 4))
    both = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    episode_loss(vtm, one, two, both, QUICK).backward()
    alone = {name: tensor[:1].clone().requires_grad_() for name, tensor in start.items()}
    first = [replace(part, labels=part.labels[:1], known=part.known[:1], categorical=part.categorical[:1]) for part in (one, two)]
    episode_loss(vtm, *first, alone, QUICK).backward()
    for name in start:
        torch.testing.assert_close(both[name].grad[:1] * 2, alone[name].grad, atol=1e-6, rtol=1e-3)
        assert float((both[name].grad[0] - both[name].grad[1]).abs().max()) > 0


def test_the_best_biases_are_kept_and_those_from_before_are_among_them(vtm, start):
    errors = iter([0.5, 0.7, 0.4, 0.6])
    done = tune(vtm, examples(), TuningState(start, start), QUICK, lambda _: next(errors))
    assert done.curve == ((0, 0.5), (4, 0.7), (8, 0.4), (12, 0.6))
    assert done.error == 0.4
    worse = tune(vtm, examples(), TuningState(start, start), QUICK, lambda biases: float(biases is not start))
    assert worse.best is start


def test_it_stops_when_the_held_out_error_does_not_get_less(vtm, start):
    settings = replace(QUICK, steps=400, every=1, patience=3)
    done = tune(vtm, examples(), TuningState(start, start), settings, lambda biases: 1.0)
    assert done.step == 3
    assert done.waited == 3


def test_a_limit_of_time_is_kept_to_the_step(vtm, start, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(clock))
    done = tune(vtm, examples(), TuningState(start, start), replace(QUICK, steps=400, every=50, seconds=7), lambda biases: 1.0)
    assert 1 <= done.step <= 7
    assert done.spent >= 7
    assert len(done.curve) == 2


def test_an_interrupted_tuning_goes_on_as_if_it_had_not_been(vtm, start):
    settings = replace(QUICK, dropout=0.5, drop_path=0.2)

    def check(biases):
        with torch.no_grad():
            return episode_loss(vtm, examples().subset(torch.arange(2)), examples().subset(torch.arange(2, 4)), biases, settings).item()

    whole = tune(vtm, examples(), TuningState(start, start), settings, check)
    first = tune(vtm, examples(), TuningState(start, start), settings, check, until=4)
    assert first.step == 4
    second = tune(vtm, examples(), first, settings, check)
    assert second.curve == whole.curve
    assert second.losses == whole.losses
    assert all(torch.equal(second.best[name], whole.best[name]) for name in start)


def test_a_file_takes_up_an_interrupted_run_and_refuses_another(vtm, start, tmp_path):
    data, path = examples(), tmp_path / "run" / "state.safetensors"
    whole, facts = adapted(vtm, data, start, QUICK)
    adapted(vtm, data, start, replace(QUICK, steps=8), path)
    resumed, told = adapted(vtm, data, start, QUICK, path)
    assert told["curve"] == facts["curve"]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert min(error for _, error in told["curve"]) <= told["curve"][0][1]
    with pytest.raises(InputError, match="another tuning"):
        adapted(vtm, data, some_biases(vtm, 2), QUICK, path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no tuning"):
        adapted(vtm, data, start, QUICK, path)


def test_the_global_random_state_is_untouched_though_attention_is_dropped(vtm, start):
    before = torch.get_rng_state()
    tune(vtm, examples(), TuningState(start, start), replace(QUICK, steps=1, dropout=0.5, drop_path=0.5), lambda biases: 1.0)
    assert torch.equal(before, torch.get_rng_state())


def test_one_example_cannot_be_tuned_on(vtm, start):
    with pytest.raises(ValueError, match="two halves"):
        tune(vtm, examples(1), TuningState(start, start), QUICK, lambda biases: 1.0)


def test_branches_are_dropped_more_often_in_later_blocks_and_made_up_for():
    kept = branch_dropper(0.5, torch.Generator().manual_seed(0))(6, 4000)
    assert bool((kept[0] == 1).all())
    assert abs(float((kept[-1] == 0).float().mean()) - 0.5) < 0.02
    assert abs(float(kept[-1].mean()) - 1) < 0.03
    assert math.isclose(float(kept[-1].max()), 2.0)
