"""Options that several verbs have."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from likewise.errors import UsageError

ChannelList = Annotated[
    str | None,
    typer.Option("--channels", metavar="R,G,B|N", help="Channels of TIFF pictures to show, counted from 1; deep ones are scaled by percentiles."),
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", metavar="N", help="Images, masks and dense maps that say they are larger are refused before they are decoded.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method; may be repeated.")]


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
