"""`likewise label`: learn from the examples, label every image, write labels and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import (
    AdaptOption,
    CacheFolder,
    CacheSize,
    ChannelList,
    InstancesOption,
    MaxMiss,
    MaxPixels,
    PresetName,
    Settings,
    UnlabelledName,
    feature_store,
    parse_settings,
    parsed_channels,
    parsed_share,
)
from likewise.cli.printing import say
from likewise.cli.summary import print_json, told
from likewise.errors import UsageError

if TYPE_CHECKING:
    from likewise.labelling import Preview

INTERRUPTED = 130


def label(
    examples: Annotated[Path, typer.Argument(metavar="EXAMPLES", help="A few labelled images in the format of your tool, or a .task file.")],
    images: Annotated[
        Path | None, typer.Argument(metavar="IMAGES", help="The images to label: a folder, one image, a text file of paths, or a data set.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="LABELS", help="The folder for labels, manifest and report.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that stands in LABELS.")] = False,
    listed: Annotated[
        Path | None, typer.Option("--list", metavar="FILE|-", help="Label the paths in a file, or from standard input, a line each, relative to IMAGES.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="i/n", help="Label the i-th of n shares of IMAGES, for n machines; join them by `likewise merge`.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Label the first five images into nothing; say how long all would take.")] = False,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="The format to write: index-png, coco, labelme, voc, yolo, cvat, label-studio, examples or geotiff; "
            "csv or folders of classes of whole images. [default: index-png, of whole images csv]",
        ),
    ] = None,
    overlays: Annotated[bool, typer.Option("--overlays", help="Also write NAME.overlay.jpg.")] = False,
    only_unsure: Annotated[
        float | None, typer.Option("--only-unsure", metavar="THRESHOLD", help="Write labels only where the confidence (0..1) is below.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="PATH", help="Reference labels to compare with: mIoU, presence, accuracy of classes, dense errors.")
    ] = None,
    as_format: Annotated[str | None, typer.Option("--as", metavar="FORMAT", help="Read EXAMPLES in this format instead of the recognised one.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of IMAGES to label, or 'all'. [default: query]")] = None,
    examples_split: Annotated[str | None, typer.Option("--examples-split", help="The split of EXAMPLES to learn from. [default: support]")] = None,
    unlabelled: Annotated[
        UnlabelledName | None, typer.Option("--unlabelled", help="What pixels of EXAMPLES without a label are. [default: as the files say, else background]")
    ] = None,
    channels: ChannelList = None,
    method: Annotated[
        str | None, typer.Option("--method", help="A name of `likewise methods`. [default: analogy, for classes of whole images prototypical]")
    ] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="A name of `likewise weights list`. [default: auto]")] = None,
    pixel_size: Annotated[
        str | None, typer.Option("--pixel-size", metavar="0.5um", help="How long a pixel is, for areas in measurements.csv and objects.csv.")
    ] = None,
    instances: InstancesOption = "auto",
    max_miss: MaxMiss = None,
    adapt: AdaptOption = "off",
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="FILE", help="Trained weights of the method, where it needs any; 'random' for none.")
    ] = None,
    preset: Annotated[PresetName | None, typer.Option("--preset", help="Speed against quality. [default: default]")] = None,
    settings: Settings = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="auto, torch or openvino.")] = "auto",
    precision: Annotated[str, typer.Option("--precision", help="auto, float32 or bfloat16.")] = "auto",
    batch: Annotated[str, typer.Option("--batch", metavar="auto|N", help="Images that go through the network together; halved when memory runs out.")] = "auto",
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Threads that decode images; 0 leaves the choice to the program.")] = 0,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
    max_pixels: MaxPixels = 200_000_000,
    profile: Annotated[bool, typer.Option("--profile", help="Print the time of each stage.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Learn from EXAMPLES and label IMAGES the same way, into LABELS.

    Nothing that stands in LABELS is overwritten. A run that was stopped goes on with --resume; an image that cannot be
    read is noted in LABELS/manifest.jsonl and makes the exit code 5.
    """
    from likewise.data.limits import set_pixel_limit
    from likewise.formats.georeference import advice
    from likewise.labelling import PixelSize, RunOptions, Shard, check, label_folder, look_ahead, usual_batch
    from likewise.labelling.progress import for_stderr
    from likewise.labelling.source import Source

    if adapt != "off" and max_miss is not None:
        raise UsageError("the threshold of --max-miss is of the task as it was learned, which --adapt changes", where="--adapt", remedy="Give one of both")
    options = RunOptions(
        format=format,
        overlays=overlays,
        only_unsure=only_unsure,
        batch=_batch(batch),
        workers=workers,
        max_pixels=max_pixels,
        resume=resume,
        shard=None if shard is None else Shard.parse(shard),
        truth=truth,
        adapt=adapt,
        pixel_size=None if pixel_size is None else PixelSize.parse(pixel_size),
    )
    set_pixel_limit(max_pixels)
    source = Source(
        path=examples,
        format=as_format,
        split=examples_split,
        unlabelled=None if unlabelled is None else unlabelled.value,
        channels=parsed_channels(channels),
        method=method,
        backbone=backbone,
        checkpoint=checkpoint,
        preset=None if preset is None else preset.value,
        settings=parse_settings(settings or []),
        instances=instances,
        max_miss=parsed_share(max_miss),
        device=device,
        engine=engine,
        precision=precision,
        cache=feature_store(cache, cache_size),
    )
    if out is not None:
        check(out, options)
    elif not dry_run:
        raise UsageError("there is no folder to write to", where="--out", remedy="Name a new one, for example --out labels, or look first with --dry-run")
    found = source.images(images, split, listed)
    task, sentence = source.open()
    for words in (sentence, f"to label: {found.sentence}", _engine_sentence(task.fingerprint())):
        say(words, aside=True)
    for name, rule in task.rules.items():
        say(f"{name}: {rule.sentence()}", aside=True)
    told_first = advice(found.root / found.names[0], format)
    if told_first:
        say(f"warning: {told_first}", aside=True)
    if dry_run or out is None:
        task = task if adapt == "off" else task.adapt(found, adapt)
        preview = look_ahead(task, found, usual_batch(task) if options.batch == "auto" else options.batch)
        print_json(preview.as_dict()) if as_json else _print_preview(preview)
        return
    try:
        summary = label_folder(task, found, out, progress=for_stderr(), options=options)
    except KeyboardInterrupt as error:
        say(str(error) or "stopped. Go on with --resume", aside=True)
        raise typer.Exit(INTERRUPTED) from None
    told(summary, profile=profile, as_json=as_json)


def _batch(text: str) -> Any:
    if text == "auto":
        return text
    if not text.isdecimal():
        raise UsageError(f"the batch is {text!r}", where="--batch", remedy="Give 'auto' or a number of images from 1")
    return int(text)


def _engine_sentence(fingerprint: dict[str, str]) -> str:
    weights = ", ".join(f"{name.removeprefix('weights.')} {value[:12]}" for name, value in fingerprint.items() if name.startswith("weights."))
    where = " ".join(fingerprint[name] for name in ("engine", "precision", "device") if name in fingerprint)
    return f"engine: {where}; weights: {weights}"


def _print_preview(preview: Preview) -> None:
    from likewise.labelling.progress import duration

    for name, found in preview.looked.items():
        shown = ", ".join(f"{key} {p:.2f}" if p is not None else key for key, p in found.get("present", {}).items()) or "no class"
        say(f"{name}: {found['error']}" if "error" in found else f"{name}: {shown}; confidence {found['confidence']}")
    say(f"{preview.seconds_an_image:.3f} s an image, about {duration(preview.seconds_for_all)} for all {preview.images:,}")
    for name, score in preview.left_out.items():
        numbers = ", ".join(f"{key} {value:.3f}" for key, value in score.items() if isinstance(value, float))
        say(f"left out, {name}: {numbers or 'unknown'}")
    for warning in preview.warnings:
        say(f"warning: {warning}")
    say("nothing was written; leave out --dry-run to label", aside=True)
