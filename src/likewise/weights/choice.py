"""Which weights `auto` means: what this user's cache remembers, so that later runs do not depend on the network."""

from __future__ import annotations

import sys
from pathlib import Path

from likewise.errors import WeightsError
from likewise.weights.cache import cache_folder, read_json, write_json
from likewise.weights.fetching import fetch, locate, missing
from likewise.weights.registry import entries, entry

OFFICIAL = "dinov2-reg-small"
STAND_IN = "dinov2-reg-small-sphere"
NONE, RANDOM = "none", "random:"  # names, or how they begin, of backbones that have no weights


def resolve(name: str = "auto") -> str:
    """The name of the weights to use, "none" and "random:..." as they are; UsageError for an unknown one.

    "auto" is the remembered default; at the very first use the official weights where they can be had within a few
    seconds, else the stand-in; the choice is printed (stderr) and remembered. WeightsError where neither can be had.
    """
    if name == NONE or name.startswith(RANDOM):
        return name
    if name != "auto":
        return entry(name).name
    remembered = default()
    if remembered is not None:
        return remembered
    refused = []
    for candidate in (OFFICIAL, STAND_IN):
        try:
            fetch(candidate)
        except WeightsError as error:
            refused.append(error.what)
        else:
            set_default(candidate)
            _announce(candidate)
            return candidate
    raise missing(entry(STAND_IN), refused)


def default() -> str | None:
    """The remembered default; None before the first use."""
    note = read_json(_note())
    name = note.get("backbone") if note else None
    return name if isinstance(name, str) and name in entries() else None


def set_default(name: str) -> None:
    """Remember which weights `auto` means from now on; WeightsError where they are not here yet."""
    if locate(entry(name).name) is None:
        raise WeightsError(f"the weights {name!r} are not here", where="weights", remedy=f"Type `likewise weights pull {name}` first")
    write_json(_note(), {"backbone": name})


def _note() -> Path:
    return cache_folder() / "default.json"


def _announce(name: str) -> None:
    described = entry(name)
    text = f"weights: {name} ({described.summary}); remembered as the default, change it with `likewise weights default NAME`"
    if name == STAND_IN:
        text += f"; the official ones ({OFFICIAL}) could not be had"
    print(text, file=sys.stderr)
