"""One golden file: the recipe of its inputs, what was stored, and what is expected."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError
from likewise.testing.golden import seeded


@dataclass(frozen=True)
class Folders:
    """Where golden files find what they name: layouts of state dicts, benchmark lists, pictures."""

    layouts: tuple[Path, ...]
    benchmarks: Path
    data: Path

    @classmethod
    def around(cls, directory: Path, layouts: Path | None = None) -> Folders:
        """The folders beside a folder of golden files; a given folder of layouts is looked into first."""
        beside = directory.resolve().parent
        given = () if layouts is None else (layouts, layouts / "spec" / "state_dicts")
        return cls((*given, beside / "spec" / "state_dicts"), beside / "benchmarks", beside / "data")


@dataclass(frozen=True)
class Case:
    """A golden file, opened.

    name: the file's name without ending; kind: which runner it needs; meta: its recipe (the whole content of a JSON file);
    stored: arrays `in.*` by the name behind the dot; expected: arrays `out.*` likewise.
    """

    name: str
    kind: str
    meta: Mapping[str, Any]
    stored: Mapping[str, NDArray[Any]]
    expected: Mapping[str, NDArray[Any]]
    folders: Folders

    @property
    def seed(self) -> int:
        """The seed of everything that is made by `seeded`."""
        return int(self.meta["seed"])

    @property
    def config(self) -> Mapping[str, Any]:
        """The sizes and options of this case."""
        config: Mapping[str, Any] = self.meta["config"]
        return config

    def layout(self) -> list[tuple[str, list[int]]]:
        """Names and shapes of the state dict, from the file itself or from the layout file that it names.

        Raises InputError where that file is in none of the folders.
        """
        listed = self.meta.get("layout")
        if listed is None:
            base = Path(self.meta["layout_file"]).name
            found = next((folder / base for folder in self.folders.layouts if (folder / base).is_file()), None)
            if found is None:
                looked = ", ".join(str(folder) for folder in self.folders.layouts)
                raise InputError(f"the layout file {base} is in none of {looked}", where=self.name, remedy="Name its folder by --layouts")
            listed = json.loads(found.read_text(encoding="utf-8"))
            listed = listed["layout"] if isinstance(listed, dict) else listed
        return [(str(name), [int(length) for length in shape]) for name, shape in listed]

    def weights(self) -> dict[str, NDArray[Any]]:
        """The seeded tensors of the state dict by their official names."""
        gain = self.meta.get("gain")
        return seeded.state_dict(self.layout(), self.seed, 1.0 if gain is None else float(gain), self.meta.get("overrides"))


def open_case(path: Path, folders: Folders) -> Case:
    """A golden file, opened without running anything it holds; InputError where it is not one."""
    try:
        if path.suffix == ".json":
            return _from_json(path, folders)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        meta = json.loads(str(content["meta"]))
        return Case(path.stem, str(meta["kind"]), meta, _part(content, "in."), _part(content, "out."), folders)
    except (OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"it is no golden file: {error or type(error).__name__}", where=str(path), remedy="Take it out of the folder, or fetch it again"
        ) from error


def is_companion(meta: Mapping[str, Any]) -> bool:
    """Whether a JSON file is material that other golden files name (COCO instances), not a case itself."""
    return "kind" not in meta and {"images", "annotations", "categories"} <= meta.keys()


def _from_json(path: Path, folders: Folders) -> Case:
    meta = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(meta, dict):
        raise InputError("it holds no object", where=str(path))
    return Case(path.stem, str(meta.get("kind", path.stem)), meta, {}, {}, folders)


def _part(content: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in content.items() if name.startswith(prefix)}
