"""`likewise check`: everything that is wrong with labelled examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import ChannelList, MaxPixels, parsed_channels
from likewise.cli.printing import say
from likewise.errors import InputError


def check(
    examples: Annotated[Path, typer.Argument(metavar="EXAMPLES", help="Labelled images in any format that is read.")],
    as_format: Annotated[str | None, typer.Option("--as", metavar="FORMAT", help="Read the examples in this format instead of the recognised one.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Check the images of this split alone. [default: all that have labels]")] = None,
    channels: ChannelList = None,
    max_pixels: MaxPixels = 200_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every problem of EXAMPLES: file and field, reason, remedy. Every label and every pixel is read.

    The exit code is 4 if there is a problem, else 0.
    """
    from likewise.data.limits import set_pixel_limit
    from likewise.formats.checking import check as checked

    set_pixel_limit(max_pixels)
    report = checked(examples, format=as_format, split=split, channels=parsed_channels(channels))
    if as_json:
        problems = [{"where": each.where, "what": each.what, "remedy": each.remedy} for each in report.problems]
        print(json.dumps({"format": report.format, "layout": report.layout, "images": report.images, "problems": problems}, indent=2))
    else:
        for each in report.problems:
            say(each)
    if report.problems:
        count = len(report.problems)
        raise InputError(f"{count} problem{'s' if count > 1 else ''}", where=str(examples), remedy="Each has its remedy in the list")
    say(f"{report.format} ({report.layout}), {report.images} labelled images: no problem", aside=True)
