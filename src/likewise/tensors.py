"""Tensors as a safetensors file, written one after the other by ordinary writes.

The package's own `save_file` makes a temporary file of its own beside the one that it is given, which a killed process leaves behind
under a name that nobody can claim; its errors are not the system's, and its header lists metadata in any order. The format is small
enough to be written here: the length of the header, the header as JSON, the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

# the names of the format for those of torch, in the order of the package: what needs the widest alignment comes first
_KINDS = {
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "complex64": "C64",
    "float32": "F32",
    "uint32": "U32",
    "int32": "I32",
    "bfloat16": "BF16",
    "float16": "F16",
    "uint16": "U16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_ALIGNMENT = 8


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name as a safetensors file; the same tensors and metadata give the same bytes.

    Tensors may share memory and lie on any device. Raises OSError as the system does, ValueError for kinds of numbers that are not in `_KINDS`.
    """
    ranks = {kind: rank for rank, kind in enumerate(_KINDS)}
    unknown = next((name for name, tensor in tensors.items() if _kind(tensor) not in ranks), None)
    if unknown is not None:
        raise ValueError(f"{unknown} is {_kind(tensors[unknown])}, which is not written")
    names = sorted(tensors, key=lambda name: (ranks[_kind(tensors[name])], name))
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        header[name] = {"dtype": _KINDS[_kind(tensors[name])], "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for name in names:
            if tensors[name].numel():
                stream.write(raw_bytes(tensors[name]))


def read_tensors(opened: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a safetensors file that `safe_open` opened, with its name, one at a time."""
    names = opened.keys()  # a handle, not a mapping: it cannot be gone over itself
    return ((name, opened.get_tensor(name)) for name in names)


def raw_bytes(tensor: Tensor) -> memoryview:
    """The numbers of a tensor as they lie in memory, row by row; without a copy where they lie so on the CPU already."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
