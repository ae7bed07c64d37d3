"""`likewise convert`: labelled examples in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import ChannelList, MaxPixels, parsed_channels
from likewise.cli.printing import say


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Labelled images in any format that is read.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that is not there yet, or empty.")],
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="The format to write.")],
    as_format: Annotated[str | None, typer.Option("--as", metavar="FORMAT", help="Read IN in this format instead of the recognised one.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Convert the images of this split alone. [default: all that have labels]")] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Also copy the images to where the format has them.")] = True,
    channels: ChannelList = None,
    max_pixels: MaxPixels = 200_000_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what FORMAT cannot hold, and write nothing.")] = False,
) -> None:
    """Write the labels of IN into OUT in another format.

    What the format cannot hold is said before anything is written. Nothing is overwritten; OUT is whole or not there.
    """
    from likewise.data.limits import set_pixel_limit
    from likewise.formats.converting import convert as converted
    from likewise.formats.converting import plan
    from likewise.formats.files import must_be_new

    set_pixel_limit(max_pixels)
    must_be_new(out)
    conversion = plan(source, format, from_format=as_format, split=split, channels=parsed_channels(channels))
    say(f"{source}: {conversion.dataset.format} ({conversion.dataset.layout}), {len(conversion.names)} labelled images", aside=True)
    for sentence in conversion.sentences():
        say(sentence, aside=True)
    if not conversion.lost:
        say(f"{format} holds all of it", aside=True)
    if dry_run:
        return
    files = converted(conversion, out, images=images)
    say(f"{len(files)} files in {out}", aside=True)
    say(f"next: likewise label {out} IMAGES --out LABELS", aside=True)
