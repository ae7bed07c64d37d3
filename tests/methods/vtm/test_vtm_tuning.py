"""Bias tuning: it learns, stops, keeps its time, goes on where it was interrupted, and never makes the held-out error worse."""

import math
from dataclasses import replace

import pytest
import torch
from vtm_small import noise, small_vtm, some_biases

from likewise.backbones.biases import repeated
from likewise.methods.vtm import adapting, tuning
from likewise.methods.vtm.adapting import adapted
from likewise.methods.vtm.pooling import Pooling
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


class Clock:
    """Time that passes by what is done: three seconds a step, one a look."""

    def __init__(self, monkeypatch, vtm):
        self.now, step = 0.0, tuning._shuffled_step
        monkeypatch.setattr(tuning.time, "monotonic", lambda: self.now)

        def slow_step(*given):
            self.now += 3
            return step(*given)

        monkeypatch.setattr(tuning, "_shuffled_step", slow_step)

    def check(self, biases):
        self.now += 1
        return 100 - self.now


@pytest.mark.parametrize(("seconds", "steps"), [(2, 0), (4.5, 0), (5.5, 1), (21, 4), (21.5, 5)])
def test_a_limit_of_time_is_kept_though_steps_are_slow(vtm, start, monkeypatch, seconds, steps):
    clock = Clock(monkeypatch, vtm)
    done = tune(vtm, examples(), TuningState(start, start), replace(QUICK, steps=400, every=50, seconds=seconds), clock.check)
    assert done.step == steps
    assert clock.now <= seconds
    assert done.curve[-1][0] == steps


def test_a_limit_of_time_has_about_ten_looks(vtm, start, monkeypatch):
    clock = Clock(monkeypatch, vtm)
    done = tune(vtm, examples(), TuningState(start, start), replace(QUICK, steps=400, every=50, seconds=100), clock.check)
    assert len(done.curve) in (9, 10, 11)
    assert clock.now <= 100


def interrupted_after(steps):
    def watch(stage, done, of):
        del stage, of
        if done >= steps:
            raise KeyboardInterrupt

    return watch


@pytest.mark.parametrize("steps", [1, 4, 6])
def test_an_interrupted_tuning_goes_on_as_if_it_had_not_been(vtm, start, steps):
    settings = replace(QUICK, dropout=0.5, drop_path=0.2)
    data, reached = examples(), []

    def check(biases):
        with torch.no_grad():
            return episode_loss(vtm, data.subset(torch.arange(2)), data.subset(torch.arange(2, 4)), biases, settings).item()

    def watch(state):
        if state.step == steps:
            reached.append(state)

    whole = tune(vtm, data, TuningState(start, start), settings, check, watch=watch)
    second = tune(vtm, data, reached[0], settings, check)
    assert second.curve == whole.curve
    assert second.losses == whole.losses
    assert all(torch.equal(second.best[name], whole.best[name]) for name in start)


def test_a_folder_takes_up_the_same_tuning_and_no_other_and_is_empty_once_it_is_done(vtm, start, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "KEEP_EVERY", 0.0)
    data, folder = examples(), tmp_path / "kept"
    whole, facts = adapted(vtm, data, start, QUICK)
    with pytest.raises(KeyboardInterrupt):
        adapted(vtm, data, start, QUICK, folder, interrupted_after(7))
    (kept,) = folder.iterdir()
    said = []
    adapted(vtm, data, some_biases(vtm, 2), replace(QUICK, steps=4), folder, lambda stage, done, of: said.append(stage))
    adapted(replace(vtm, pooling=Pooling("global")), data, start, replace(QUICK, steps=4), folder, lambda stage, done, of: said.append(stage))
    assert not any("taken up" in stage for stage in said)
    assert list(folder.iterdir()) == [kept]
    resumed, told = adapted(vtm, data, start, QUICK, folder, lambda stage, done, of: said.append(stage))
    assert any("taken up after 6 steps" in stage for stage in said)
    assert (told["curve"], told["losses"]) == (facts["curve"], facts["losses"])
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert not list(folder.iterdir())


def test_other_networks_are_another_tuning(vtm, start, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "KEEP_EVERY", 0.0)
    for each in (vtm, small_vtm(fused=9)):
        with pytest.raises(KeyboardInterrupt):
            adapted(each, examples(), start, QUICK, tmp_path, interrupted_after(2))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_kept_tuning_that_cannot_be_read_begins_anew_with_a_warning(vtm, start, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        adapted(vtm, examples(), start, QUICK, tmp_path, interrupted_after(2))
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="begins anew"):
        _, told = adapted(vtm, examples(), start, replace(QUICK, steps=4), tmp_path)
    assert len(told["losses"]) == 4


def test_progress_is_told_in_steps_or_in_seconds_and_what_came_of_it(vtm, start):
    said = []
    adapted(vtm, examples(), start, replace(QUICK, steps=4), progress=lambda *told: said.append(told))
    assert [(done, of) for _, done, of in said] == [(0, 4), (1, 4), (2, 4), (3, 4), (3, 4), (4, 4)]
    assert said[0][0].startswith("tuning, held-out error")
    assert said[-1][0].startswith("tuned: ")
    said.clear()
    adapted(vtm, examples(), start, replace(QUICK, steps=2, seconds=1000), progress=lambda *told: said.append(told))
    assert {of for stage, _, of in said if stage.endswith("seconds")} == {1000}


def test_too_little_time_for_a_step_is_said(vtm, start):
    with pytest.warns(UserWarning, match="do not suffice"):
        biases, told = adapted(vtm, examples(), start, replace(QUICK, seconds=1e-6))
    assert all(torch.equal(biases[name], start[name]) for name in start)
    assert told["best_step"] == 0


def test_values_of_labels_that_were_made_before_change_nothing(vtm, start):
    data = examples()
    halves = [(each.subset(torch.arange(2)), each.subset(torch.arange(2, 4))) for each in (data, data.encoded(vtm))]
    losses = [episode_loss(vtm, *half, start, QUICK) for half in halves]
    torch.testing.assert_close(losses[0], losses[1])
    assert halves[1][0].values[0].shape[:2] == (2, 2)


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


def test_the_last_third_of_the_pictures_decides_and_is_not_tuned_on(vtm, start):
    data = replace(examples(4), pictures=(0, 1, 1, 7)).encoded(vtm)
    own, support, query = adapting.divided(data, held_out=True)
    assert (own.pictures, support.pictures, query.pictures) == ((0, 1, 1), (0, 1, 1), (7,))
    assert torch.equal(query.images, data.images[3:])
    assert torch.equal(query.values[2], data.values[2][:, 3:])
    many = replace(examples(4), images=noise(1, 7, 3, SIDE, SIDE), pictures=())
    assert [len(part) for part in adapting.divided(replace(many, labels=noise(2, 2, 7, 4, 4), known=noise(3, 2, 7, 4, 4)), held_out=True)] == [5, 5, 2]


@pytest.mark.parametrize(("pictures", "held_out"), [((0, 1, 2, 3), False), ((0, 0, 5, 5), True)])
def test_the_published_way_tunes_on_all_and_so_does_one_of_two_pictures(pictures, held_out):
    own, support, query = adapting.divided(replace(examples(4), pictures=pictures), held_out=held_out)
    assert (own.pictures, support.pictures, query.pictures) == (pictures, pictures[:2], pictures[2:])
