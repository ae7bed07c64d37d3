"""Optimisers and schedules of recipes, and the state of an optimiser as plain tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from likewise.errors import InputError
from likewise.training.recipe import OptimiserSection, ScheduleSection


def make_optimiser(section: OptimiserSection, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser of a recipe."""
    if section.name == "sgd":
        return SGD(parameters, lr=section.rate, momentum=section.momentum, weight_decay=section.weight_decay)
    kind = Adam if section.name == "adam" else AdamW
    return kind(parameters, lr=section.rate, betas=section.betas, weight_decay=section.weight_decay)


def rate_factor(schedule: ScheduleSection, step: int, steps: int) -> float:
    """What the rate is multiplied by at a step (from 0) of a run.

    >>> [rate_factor(ScheduleSection(name="cosine"), step, 8) for step in (0, 4)]
    [1.0, 0.5]
    >>> [rate_factor(ScheduleSection(warmup=0.5), step, 8) for step in (0, 3, 4)]
    [0.25, 1.0, 1.0]
    """
    warming = round(schedule.warmup * steps)
    if step < warming:
        return (step + 1) / warming
    passed = (step - warming) / max(steps - warming, 1)
    match schedule.name:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * passed))
        case "linear":
            return 1 - passed
        case "poly":
            return float((1 - passed) ** schedule.power)
        case "step":
            return float(schedule.factor ** sum(step >= share * steps for share in schedule.steps))
        case "constant":
            return 1.0


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Put a learning rate into every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter: "PLACE.NAME" -> tensor; settings are those of the recipe."""
    state = optimiser.state_dict()["state"]
    return {f"{place}.{name}": torch.as_tensor(value) for place, values in state.items() for name, value in values.items() if value is not None}


def restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor], where: str) -> None:
    """Give an optimiser what another one of the same recipe remembered; InputError for tensors that do not fit."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        place, _, key = name.partition(".")
        state.setdefault(int(place), {})[key] = tensor
    sizes = [parameter.shape for group in optimiser.param_groups for parameter in group["params"]]
    if any(place >= len(sizes) or any(tensor.ndim and tensor.shape != sizes[place] for tensor in values.values()) for place, values in state.items()):
        raise InputError("the optimiser's state does not fit what is trained", where=where, remedy="Train into another folder")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
