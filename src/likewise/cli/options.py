"""Options that several verbs have."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.errors import UsageError

if TYPE_CHECKING:
    from likewise.backbones import FeatureStore
    from likewise.data.channels import Channels

CACHE_SIZE = 10_000_000_000  # bytes of features that `--cache` keeps unless it is told otherwise
_UNITS = {unit: 1000**power for power, unit in enumerate(("", "kb", "mb", "gb", "tb"))} | {
    unit: 1024**power for power, unit in enumerate(("b", "kib", "mib", "gib", "tib"))
}

ChannelList = Annotated[
    str | None,
    typer.Option("--channels", metavar="R,G,B|N", help="Channels of TIFF pictures to show, counted from 1; deep ones are scaled by percentiles."),
]
CacheFolder = Annotated[
    str | None,
    typer.Option(
        "--cache", metavar="auto|DIR", help="Keep features of images here, so that each passes the backbone once. [default: $LIKEWISE_FEATURES, if set]"
    ),
]
CacheSize = Annotated[
    str | None,
    typer.Option("--cache-size", metavar="SIZE", help="Drop the oldest features beyond this, for example 500MB. [default: 10GB, for $LIKEWISE_FEATURES none]"),
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", metavar="N", help="Images, masks and dense maps that say they are larger are refused before they are decoded.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method; may be repeated.")]


InstancesOption = Annotated[
    str,
    typer.Option(
        "--instances",
        help="How masks are split into objects: parts, watershed, depth, offsets, off, or auto: what suits the examples best where they tell objects apart.",
    ),
]


MaxMiss = Annotated[
    str | None,
    typer.Option("--max-miss", metavar="1%", help="Say which images to look at if this share of those that show a class may be missed, and what it costs."),
]


AdaptOption = Annotated[
    str,
    typer.Option(
        "--adapt",
        help="Fit the task to 64 of IMAGES first, without labels: features (another light or camera), prior (how often a class is there), both, or off.",
    ),
]


class PresetName(StrEnum):
    """Speed against quality."""

    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"


class UnlabelledName(StrEnum):
    """What pixels without a label are."""

    BACKGROUND = "background"
    UNKNOWN = "unknown"


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Settings from KEY=VALUE: values are JSON where they can be (0.5, true, [1, 2]), else text.

    >>> parse_settings(["strength=0.5", "layers=[2, 5]", "rule=mean"])
    {'strength': 0.5, 'layers': [2, 5], 'rule': 'mean'}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"{pair!r} is not KEY=VALUE", where="--set", remedy="Write for example --set strength=0.5")
        try:
            found[key.strip()] = json.loads(text)
        except ValueError:
            found[key.strip()] = text
    return found


def parse_size(text: str, option: str) -> int:
    """Bytes from a number with a unit: kB, MB, GB, TB of 1000, KiB, MiB, GiB, TiB of 1024, none for bytes.

    >>> parse_size("10GB", "--cache-size"), parse_size("1.5 GiB", "--cache-size"), parse_size("800", "--cache-size")
    (10000000000, 1610612736, 800)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS or float(found[1]) * _UNITS[found[2]] < 1:
        raise UsageError(f"{text!r} is no size", where=option, remedy="Write for example 500MB or 10GB")
    return int(float(found[1]) * _UNITS[found[2]])


def feature_store(folder: str | None, size: str | None) -> FeatureStore | None:
    """What `--cache` and `--cache-size` ask for, ready to be written to; "auto" is a folder of the program's own. None where no features are kept.

    Raises UsageError for a size that is none, or that is given without a folder; OutputError for a folder that cannot be made.
    """
    most = None if size is None else parse_size(size, "--cache-size")
    from likewise import weights
    from likewise.backbones import FeatureStore, folder_of_environment

    named = folder_of_environment() if folder is None else weights.cache_folder() / "features-of-labelling" if folder == "auto" else Path(folder)
    if named is None:
        if size is not None:
            raise UsageError("no features are kept", where="--cache-size", remedy="Say where by --cache, or leave it out")
        return None
    store = FeatureStore(named, CACHE_SIZE if most is None and folder is not None else most)
    store.start()
    return store


def parsed_share(text: str | None) -> float | None:
    """The share of `--max-miss`, None for none. UsageError for what is none."""
    from likewise.task.deciding import parse_share

    return None if text is None else parse_share(text)


def parsed_channels(text: str | None) -> Channels | None:
    """The channels of `--channels`, None for none. UsageError for what names none."""
    from likewise.data.channels import Channels

    return None if text is None else Channels.parse(text)
