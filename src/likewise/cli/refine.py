"""`likewise refine`: boxes, points, scribbles and tags turned into masks to look at and to correct."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import ChannelList, MaxPixels, PresetName, Settings, UnlabelledName, parse_settings, parsed_channels
from likewise.cli.printing import say


def refine(
    examples: Annotated[Path, typer.Argument(metavar="EXAMPLES", help="A few images with boxes, points, scribbles, tags or masks, in any mix.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write: images, masks, overlays and dataset.json. It must be new.")],
    method: Annotated[str, typer.Option("--method", help="A name of `likewise methods`.")] = "analogy",
    backbone: Annotated[str, typer.Option("--backbone", help="A name of `likewise weights list`.")] = "auto",
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="FILE", help="Trained weights of the method, where it needs any; 'random' for none.")
    ] = None,
    preset: Annotated[PresetName | None, typer.Option("--preset", help="Speed against quality. [default: default]")] = None,
    settings: Settings = None,
    as_format: Annotated[str | None, typer.Option("--as", metavar="FORMAT", help="Read the examples in this format instead of the recognised one.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of the examples. [default: support]")] = None,
    unlabelled: Annotated[
        UnlabelledName | None, typer.Option("--unlabelled", help="What pixels of EXAMPLES without a label are. [default: as the files say, else background]")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="FOLDER", help="Weights of SAM or SAM 2, as `transformers` keeps them, that draw boxes, points and scribbles.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="auto, torch or openvino.")] = "auto",
    channels: ChannelList = None,
    max_pixels: MaxPixels = 200_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Turn coarse labels of EXAMPLES into masks in the folder OUT.

    A task is learned from EXAMPLES, answers for each of them, and is held to what was said of it. Look at OUT/overlays, correct
    OUT/masks where they are wrong, then label or learn from OUT.
    """
    from likewise import formats, task
    from likewise.data.limits import set_pixel_limit
    from likewise.formats.files import must_be_new
    from likewise.labelling.refining import refine_folder
    from likewise.task.segment_anything import SegmentAnything

    set_pixel_limit(max_pixels)
    must_be_new(out)
    promptable = None if by is None else SegmentAnything.opened(by)
    read = formats.read_support(
        examples,
        format=as_format,
        split=split,
        unlabelled=None if unlabelled is None else unlabelled.value,
        channels=parsed_channels(channels),
    )
    say(read.sentence, aside=True)
    learned = task.learn(
        read.support,
        method=method,
        backbone=backbone,
        checkpoint=checkpoint,
        preset="default" if preset is None else preset.value,
        thumbnails=False,
        device=device,
        engine=engine,
        **parse_settings(settings or []),
    )
    found = refine_folder(learned, out, _show, promptable)
    if as_json:
        print(json.dumps({"path": str(out), "drawn": found.drawn, "kept": found.kept}))
        return
    say(out)
    told = f"{len(found.drawn)} masks drawn, {len(found.kept)} kept as they were"
    say(f"{told}; look at {out / 'overlays'}, correct {out / 'masks'}, then `likewise label {out} IMAGES --out LABELS`", aside=True)


def _show(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\rrefined {done}/{of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
