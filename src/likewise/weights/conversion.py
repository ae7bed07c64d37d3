"""From a published file of weights to safetensors, with the tensors' names as they are."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from likewise.errors import WeightsError
from likewise.tensors import write_tensors

_WRAPPERS = {"model", "module", "state_dict"}  # keys under which published files (MAE, DeiT, BEiT) keep the tensors


def convert(source: Path, out: Path) -> None:
    """A safetensors file with the tensors of `source`: safetensors, or a pickle that holds tensors and nothing else.

    Pickles are opened by torch's weights-only loader. Raises WeightsError for anything else.
    """
    write_tensors(out, read_source(source))


def read_source(source: Path) -> dict[str, Any]:
    """The tensors of a published file by name."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if source.suffix == ".safetensors":
        try:
            return load_file(source)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"it is not a safetensors file: {error}", where=str(source), remedy="Fetch it again") from error
    return _read_pickle(source)


def _read_pickle(source: Path) -> dict[str, Any]:
    import torch

    try:
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(source))
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"torch's weights-only loader refuses it: {what}", where=str(source), remedy="Use a file that holds tensors and nothing else"
        ) from error
    if isinstance(content, dict) and content.keys() & _WRAPPERS and all(isinstance(content[key], dict) for key in content.keys() & _WRAPPERS):
        content = content[min(content.keys() & _WRAPPERS)]
    if not isinstance(content, dict) or not content or not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items()):
        raise WeightsError("it does not hold tensors by name", where=str(source), remedy="Use a plain state dict")
    return dict(content)
