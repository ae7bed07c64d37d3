"""Checkpoints of methods: read with their hash, with a card of what they are, and converted from what authors publish.

Training frameworks write pickles that hold more than tensors: settings, callbacks, states of optimisers, as objects of
classes that need not be installed here. `read_lightning` opens them without running anything: tensors, numbers, texts
and containers become what they are, every other object becomes an empty stand-in.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from likewise.errors import WeightsError
from likewise.files import replacing, said_where
from likewise.tensors import write_tensors
from likewise.weights.archives import LARGEST_MEMBER
from likewise.weights.cache import cache_folder, read_json, sha256_of, weights_folders, write_json
from likewise.weights.conversion import read_source

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_ELEMENTS = {  # storage class of a pickle -> dtype
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_FETCH = "Fetch it again; a checkpoint is a zip archive as torch writes it, or a safetensors file"
CARD = "likewise"  # the entry of a safetensors header; one alone: several are written in any order, and the same run shall give the same bytes


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself, in the header of its file.

    method: whose it is; settings: those that it must be used with, where they differ from the defaults; backbone: {"name",
    "sha256"} of the one that it was trained on, {} where that is not known; trained_on: each source of episodes with its "benchmark",
    "part", "fold" and "classes"; origin: where it is from, in words and numbers.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbone: Mapping[str, str] = field(default_factory=dict)
    trained_on: Sequence[Mapping[str, Any]] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)


def read_card(path: Path) -> Card | None:
    """The card of a checkpoint; None for one without, as of another program. WeightsError for one that cannot be understood."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as archive:
            text = (archive.metadata() or {}).get(CARD)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"it is not a safetensors file: {error}", where=str(path), remedy="Fetch it again") from error
    if text is None:
        return None
    kinds = {"method": str, "settings": dict, "backbone": dict, "trained_on": list, "origin": dict}
    try:
        content = json.loads(text)
        if not all(isinstance(content[name], kind) for name, kind in kinds.items()):
            raise ValueError("a part is of another kind")
        return Card(*(content[name] for name in kinds))
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"what it says of itself cannot be read ({error})", where=str(path), remedy="Update this program, or fetch it again") from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a converted or saved checkpoint (safetensors) by name, and the file's sha256; WeightsError otherwise."""
    if not path.is_file():
        raise WeightsError("the checkpoint is not there", where=str(path), remedy="Check the path")
    if path.suffix != ".safetensors":
        raise WeightsError(
            "it is no safetensors file", where=str(path), remedy="Convert a published checkpoint first, by `likewise weights convert METHOD FILE OUT`"
        )
    return read_source(path), sha256_of(path)


def note_checkpoint(path: Path, digest: str) -> None:
    """Remember where a checkpoint lies, for tasks that name it by its hash; a cache that cannot be written is no error."""
    with contextlib.suppress(WeightsError):
        write_json(_note(digest), {"path": str(path.resolve())})


def find_checkpoint(name: str, digest: str, shipped: Sequence[Path] = ()) -> Path:
    """The file with this sha256: where it was noted, of those that come with the program, or by its name in a folder of LIKEWISE_WEIGHTS.

    WeightsError where it is not found.
    """
    noted = (read_json(_note(digest)) or {}).get("path")
    places = [Path(str(noted))] if noted else []
    for path in [*places, *shipped, *(folder / name for folder in weights_folders())]:
        if path.is_file() and sha256_of(path) == digest:
            return path
    raise WeightsError(
        f"the checkpoint {name} with sha256 {digest[:12]} is not here", where="task", remedy="Put it into a folder, and name the folder by LIKEWISE_WEIGHTS"
    )


def _note(digest: str) -> Path:
    return cache_folder() / "checkpoints" / f"{digest}.json"


def write_checkpoint(tensors: Mapping[str, Tensor], out: Path, card: Card | None = None) -> None:
    """Write tensors as a safetensors file, a card in its header; an existing file is replaced at the end, or not at all. OutputError if it cannot be."""
    header = None if card is None else {CARD: json.dumps(asdict(card), sort_keys=True)}
    with said_where(out), replacing(out) as draft:
        write_tensors(draft, tensors, header)


def read_lightning(path: Path) -> dict[str, Tensor]:
    """The `state_dict`, `model` or `state` of a training checkpoint, or the tensors of a plain one; WeightsError for a file that is neither."""
    if path.suffix == ".safetensors":
        return read_source(path)
    if not path.is_file():
        raise WeightsError("the checkpoint is not there", where=str(path), remedy="Check the path")
    if not zipfile.is_zipfile(path):
        raise WeightsError("it is no checkpoint of torch, or it is cut off", where=str(path), remedy=_FETCH)
    try:
        with zipfile.ZipFile(path) as archive:
            content = _unpickled(archive)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"it cannot be read: {what}", where=str(path), remedy=_FETCH) from error
    state = (
        next((content[key] for key in ("state_dict", "model", "state") if isinstance(content.get(key), dict)), content) if isinstance(content, dict) else None
    )
    tensors = {str(name): value for name, value in state.items() if hasattr(value, "dtype")} if isinstance(state, dict) else {}
    if not tensors:
        raise WeightsError("it holds no tensors by name", where=str(path), remedy=_FETCH)
    return tensors


def _unpickled(archive: zipfile.ZipFile) -> Any:
    (main,) = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
    root = main.removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise ValueError("its numbers are big-endian")
    with archive.open(main) as stream:
        return _Unpickler(stream, archive, root).load()


class _StandIn:
    """What stands for an object of a class that is not asked for; takes whatever its pickle gives it and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Nothing."""

    def extend(self, items: Any) -> None:
        """Nothing."""

    def __call__(self, *_: Any, **__: Any) -> _StandIn:
        return self

    __hash__ = object.__hash__


class _Unpickler(pickle.Unpickler):
    """Knows how tensors are rebuilt and nothing else; never imports or calls what a pickle names."""

    def __init__(self, stream: IO[bytes], archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(stream)
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if module in ("torch", "torch.storage") and name in _ELEMENTS:
            return _Elements(_ELEMENTS[name])
        return known.get((module, name), _StandIn)

    def persistent_load(self, pid: Any) -> Tensor:
        import torch

        _, elements, key, _, count = pid
        if not isinstance(elements, _Elements):
            raise pickle.UnpicklingError("it holds numbers of a kind that is not known here")
        if key not in self._storages:
            dtype = getattr(torch, elements.dtype)
            info = self._archive.getinfo(f"{self._root}data/{key}")
            if info.file_size > LARGEST_MEMBER or info.file_size < count * dtype.itemsize:
                raise ValueError("a tensor has another size than it says")
            self._storages[key] = torch.frombuffer(bytearray(self._archive.read(info)), dtype=dtype) if count else torch.zeros(0, dtype=dtype)
        return self._storages[key]


class _Elements:
    """The kind of numbers of a storage."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


def _rebuilt(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    import torch

    if not isinstance(storage, torch.Tensor):
        raise pickle.UnpicklingError("a tensor has no numbers")
    return torch.as_strided(storage, size, stride, offset)  # RuntimeError where it reaches beyond the storage


def _parameter(data: Any, *_: Any) -> torch.Tensor:
    return data
