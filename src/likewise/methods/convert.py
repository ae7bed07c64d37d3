"""Published checkpoints of methods as files of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from likewise.errors import OutputError, WeightsError
from likewise.methods.registry import method_class
from likewise.weights import Card, read_lightning, write_checkpoint
from likewise.weights.cache import sha256_of


def convert_checkpoint(method: str, source: Path, out: Path, *, base: Path | None = None, overwrite: bool = False) -> int:
    """Write the trained tensors of a published checkpoint to a safetensors file; how many they are.

    base: the checkpoint that `source` was tuned from, where that holds only the tensors that were tuned.
    Raises UsageError for a method without checkpoints, WeightsError for a file of another method or one that cannot be
    read safely, OutputError where `out` is there and may not be overwritten.
    """
    kind = method_class(method)
    if out.suffix != ".safetensors":
        raise OutputError(f"{out.name} does not end in .safetensors", where=str(out), remedy=f"Call it {out.stem}.safetensors")
    if out.exists() and not overwrite:
        raise OutputError("the file is already there", where=str(out), remedy="Choose another name, or overwrite it by --force")
    official = read_lightning(source)
    origin = {"source": source.name, "source_sha256": sha256_of(source)}
    if base is not None:
        official = onto(read_lightning(base), official, str(source))
        origin |= {"base": base.name, "base_sha256": sha256_of(base)}
    config = _config(source)
    tensors = kind.converted(official, config)
    settings, backbone = kind.published(official, config)
    write_checkpoint(tensors, out, Card(method, settings, {"name": backbone} if backbone else {}, origin=origin))
    return len(tensors)


def _config(source: Path) -> dict[str, Any] | None:
    """What `config.json` beside a file says; None where there is none. WeightsError for one that cannot be read."""
    path = source.parent / "config.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise WeightsError(f"it cannot be read: {error}", where=str(path), remedy="Fetch it again") from error
    if not isinstance(found, dict):
        raise WeightsError("it holds no object", where=str(path), remedy="Fetch it again")
    return found


def onto(base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], where: str = "checkpoint") -> dict[str, Tensor]:
    """All tensors of the base, with those that were tuned in their place.

    Tuned ones may have another number of rows. Raises WeightsError for tensors that the base does not have.
    """
    foreign = sorted(name for name, tensor in tuned.items() if name not in base or base[name].shape[1:] != tensor.shape[1:])
    if foreign:
        raise WeightsError(f"the base has no {', '.join(foreign[:3])} of such a width", where=where, remedy="Name the checkpoint that it was tuned from")
    return {**base, **tuned}
