"""Weights: the registry, the cache, download and checks.

    name = resolve("auto")        # which weights to use
    loaded = load(name)           # tensors by their source's names

What is missing is fetched, checked and converted first; `fetch`, `locate` and `survey` do the parts of this.
"""

from likewise.weights.cache import cache_folder, offline
from likewise.weights.checkpoints import Card, find_checkpoint, note_checkpoint, read_card, read_checkpoint, read_lightning, write_checkpoint
from likewise.weights.choice import resolve, set_default
from likewise.weights.fetching import fetch, locate, record_of
from likewise.weights.loading import LoadedWeights, load
from likewise.weights.overview import survey
from likewise.weights.registry import Entry, Place, entries, entry

__all__ = [
    "Card",
    "Entry",
    "LoadedWeights",
    "Place",
    "cache_folder",
    "entries",
    "entry",
    "fetch",
    "find_checkpoint",
    "load",
    "locate",
    "note_checkpoint",
    "offline",
    "read_card",
    "read_checkpoint",
    "read_lightning",
    "record_of",
    "resolve",
    "set_default",
    "survey",
    "write_checkpoint",
]
