"""The task file: one safetensors file with a JSON manifest in its header, no pickle anywhere.

    memory/NAME                       what the method learned
    features/EXAMPLE/SPEC/tokens ...  features of the examples in half precision, and the pixels of methods that learn
                                      from them (not in compact files)
    labels/EXAMPLE/NAME               labels of the examples, compressed (not in compact files)
    class_vectors                     of the classes that the manifest lists, where any have some
    thumbnail/EXAMPLE/image, labels   small pictures for reports (unless switched off)

The header's `likewise` entry is the manifest, `sha256` a hash over the manifest and all tensors, checked when opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from likewise.errors import TaskFileError
from likewise.files import replacing, said_where
from likewise.tensors import raw_bytes, read_tensors, write_tensors

FORMAT_VERSION = 1


def write_task_file(path: Path, manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a task file atomically: under a temporary name beside it, then renamed. OutputError where it cannot be written."""
    content = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT_VERSION, **manifest}, sort_keys=True, allow_nan=False)
    with said_where(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            write_tensors(draft, content, {"likewise": text, "sha256": _digest(text, content)})


def read_task_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The manifest and tensors of a task file; TaskFileError for one that is missing, foreign, broken, edited or too new."""
    where = str(path)
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            if "likewise" not in metadata or "sha256" not in metadata:
                raise TaskFileError("it is a safetensors file, but not a task", where=where, remedy="Make a task with `likewise learn`")
            tensors = dict(read_tensors(opened))
    except FileNotFoundError as error:
        raise TaskFileError("there is no such file", where=where, remedy="Check the path") from error
    except IsADirectoryError as error:
        raise TaskFileError("it is a folder", where=where, remedy="Give the .task file") from error
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, TaskFileError):
            raise
        raise TaskFileError(f"it is no task file, or it is truncated ({error})", where=where, remedy="Copy it again, or learn it anew") from error
    return _checked_manifest(metadata, tensors, where), tensors


def digest_of(parts: Mapping[str, Tensor], facts: Any) -> str:
    """SHA-256 over JSON-able facts and named tensors."""
    return _digest(json.dumps(facts, sort_keys=True), parts)


def _checked_manifest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor], where: str) -> dict[str, Any]:
    try:
        manifest = json.loads(metadata["likewise"])
        version = int(manifest["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise TaskFileError("its manifest cannot be read", where=where, remedy="Copy it again, or learn it anew") from error
    if version > FORMAT_VERSION:
        raise TaskFileError(f"its format is {version}, this program reads up to {FORMAT_VERSION}", where=where, remedy="Install a newer version of likewise")
    if _digest(metadata["likewise"], tensors) != metadata["sha256"]:
        raise TaskFileError("its content does not match its hash: it was edited or damaged", where=where, remedy="Copy it again, or learn it anew")
    return manifest


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(raw_bytes(tensor) if tensor.numel() else b"")
    return total.hexdigest()
