"""Schedules, and optimisers that go on from plain tensors."""

import pytest
import torch
from torch import nn

from likewise.errors import InputError
from likewise.training.optimiser import make_optimiser, optimiser_tensors, rate_factor, restore_optimiser
from likewise.training.recipe import OptimiserSection, ScheduleSection


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"name": "constant"}, [1, 1, 1, 1]),
        ({"name": "linear"}, [1, 0.75, 0.5, 0.25]),
        ({"name": "poly", "power": 2.0}, [1, 0.5625, 0.25, 0.0625]),
        ({"name": "step", "steps": (0.5, 0.75), "factor": 0.1}, [1, 1, 0.1, 0.01]),
        ({"name": "cosine"}, [1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]),
        ({"name": "linear", "warmup": 0.5}, [0.5, 1, 1, 0.5]),
    ],
)
def test_the_rate_follows_its_schedule(settings, expected):
    assert [rate_factor(ScheduleSection(**settings), step, 4) for step in range(4)] == pytest.approx(expected)


def stepped(optimiser, parameters, count):
    for turn in range(count):
        optimiser.zero_grad()
        sum(((parameter - turn) ** 2).sum() for parameter in parameters).backward()
        optimiser.step()


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_an_optimiser_restored_from_tensors_goes_on_as_the_one_that_was_kept(name):
    section = OptimiserSection(name=name, rate=0.05, weight_decay=0.01)
    start = [torch.randn(3, 2), torch.randn(5)]
    kept = [nn.Parameter(tensor.clone()) for tensor in start]
    optimiser = make_optimiser(section, kept)
    stepped(optimiser, kept, 3)
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in kept]
    other = make_optimiser(section, copies)
    restore_optimiser(other, {key: tensor.clone() for key, tensor in optimiser_tensors(optimiser).items()}, "here")
    for pair in ((optimiser, kept), (other, copies)):
        stepped(*pair, 2)
    assert all(torch.equal(one, two) for one, two in zip(kept, copies, strict=True))


def test_the_state_of_another_network_is_refused():
    parameters = [nn.Parameter(torch.randn(3, 2))]
    optimiser = make_optimiser(OptimiserSection(), parameters)
    stepped(optimiser, parameters, 1)
    other = make_optimiser(OptimiserSection(), [nn.Parameter(torch.randn(2, 3))])
    with pytest.raises(InputError, match="does not fit"):
        restore_optimiser(other, optimiser_tensors(optimiser), "here")
