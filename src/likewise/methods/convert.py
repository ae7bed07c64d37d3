"""Published checkpoints of methods as files of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path

from likewise.errors import OutputError
from likewise.methods.registry import method_class
from likewise.weights import Card, read_lightning, write_checkpoint


def convert_checkpoint(method: str, source: Path, out: Path, *, overwrite: bool = False) -> int:
    """Write the trained tensors of a published checkpoint to a safetensors file; how many they are.

    Raises UsageError for a method without checkpoints, WeightsError for a file of another method or one that cannot be read
    safely, OutputError where `out` is there and may not be overwritten.
    """
    kind = method_class(method)
    if out.suffix != ".safetensors":
        raise OutputError(f"{out.name} does not end in .safetensors", where=str(out), remedy=f"Call it {out.stem}.safetensors")
    if out.exists() and not overwrite:
        raise OutputError("the file is already there", where=str(out), remedy="Choose another name, or overwrite it by --force")
    official = read_lightning(source)
    tensors = kind.converted(official)
    settings, backbone = kind.published(official)
    origin = {"source": source.name, "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    write_checkpoint(tensors, out, Card(method, settings, {"name": backbone} if backbone else {}, origin=origin))
    return len(tensors)
