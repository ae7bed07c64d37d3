"""Lightning Fabric: where a run takes place, on one device or several."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from likewise.errors import MissingExtraError, UsageError
from likewise.training.recipe import MachineSection

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Answer = TypeVar("Answer")


def launched(section: MachineSection, work: Callable[..., Answer], *arguments: object) -> Answer:
    """What `work(fabric, *arguments)` gives on the machine of a recipe; of several processes the first one's answer.

    Several devices are several processes, which start anew and get copies of the arguments; on CPUs they talk by gloo. Raises
    MissingExtraError without Lightning Fabric, UsageError for devices that are not there.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise MissingExtraError("training needs Lightning Fabric", where="likewise train", remedy="Type `pip install 'likewise[training]'`") from error
    try:
        fabric = Fabric(
            accelerator=section.accelerator,
            devices=section.devices,
            strategy="ddp_spawn" if section.devices > 1 else "auto",
            precision="bf16-mixed" if section.precision == "bf16" else "32-true",
        )
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{section.devices} devices of kind {section.accelerator!r} cannot be used ({error})", where="machine", remedy="Use cpu") from error
    return fabric.launch(work, *arguments)


def summed(fabric: Fabric, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor added up over all processes."""
    return tensor if fabric.world_size == 1 else torch.as_tensor(fabric.all_reduce(tensor, reduce_op="sum"))


def share_gradients(fabric: Fabric, parameters: list[nn.Parameter]) -> None:
    """Add up the gradients of all processes; a parameter that no process has a gradient of keeps none, as with one process."""
    if fabric.world_size == 1:
        return
    given = summed(fabric, torch.tensor([float(parameter.grad is not None) for parameter in parameters], device=fabric.device))
    zeros = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in parameters]
    flat = summed(fabric, torch.cat([gradient.flatten() for gradient in zeros]))
    pieces = flat.split_with_sizes([parameter.numel() for parameter in parameters])
    for parameter, count, piece in zip(parameters, given.tolist(), pieces, strict=True):
        parameter.grad = piece.view_as(parameter) if count else None
