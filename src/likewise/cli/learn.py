"""`likewise learn`: the task as one file, made from examples or changed by some more or some fewer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import (
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
from likewise.errors import OutputError, UsageError

if TYPE_CHECKING:
    from likewise.task import Task

ENDING = ".task"
INTERRUPTED = 130


def learn(
    examples: Annotated[
        Path, typer.Argument(metavar="EXAMPLES", help="A few labelled images in the format of your tool; with --add or --forget a .task file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.task", help="The file to write; a task that is changed is its own.", show_default=False)
    ] = None,
    add: Annotated[list[Path] | None, typer.Option("--add", metavar="EXAMPLES", help="More examples for an existing task; may be repeated.")] = None,
    forget: Annotated[
        list[str] | None, typer.Option("--forget", metavar="NAME", help="An example that an existing task shall forget; may be repeated.")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="A name of `likewise methods`. [default: analogy, for classes of whole images prototypical]")
    ] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="A name of `likewise weights list`. [default: auto]")] = None,
    instances: InstancesOption = "auto",
    max_miss: MaxMiss = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="FILE", help="Trained weights of the method, where it needs any; 'random' for none.")
    ] = None,
    preset: Annotated[PresetName | None, typer.Option("--preset", help="Speed against quality. [default: default]")] = None,
    settings: Settings = None,
    as_format: Annotated[str | None, typer.Option("--as", metavar="FORMAT", help="Read the examples in this format instead of the recognised one.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of the examples to learn from. [default: support]")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="NAME", help="Learn this alone: a dense target, 'classes' or 'keypoints'; may be repeated. [default: all labels]"),
    ] = None,
    first: Annotated[int | None, typer.Option("--first", metavar="N", help="Learn from the first N examples by name. [default: all]")] = None,
    unlabelled: Annotated[
        UnlabelledName | None, typer.Option("--unlabelled", help="What pixels of EXAMPLES without a label are. [default: as the files say, else background]")
    ] = None,
    channels: ChannelList = None,
    max_pixels: MaxPixels = 200_000_000,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="auto, torch or openvino.")] = "auto",
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
    compact: Annotated[bool, typer.Option("--compact", help="Leave out what --add and --forget need: a small file that stays as it is.")] = False,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Keep small pictures of the examples for reports; without, no picture of any size is kept.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.task if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was learned as JSON.")] = False,
) -> None:
    """Learn a task from EXAMPLES and write it as one file.

    The file opens on any machine that has the weights. With --add or --forget EXAMPLES is an existing .task file: the
    task learns again without passing the examples it knows through the backbone.
    """
    from likewise.data.limits import set_pixel_limit

    set_pixel_limit(max_pixels)
    place = {"device": device, "engine": engine, "cache": feature_store(cache, cache_size)}
    chosen, share = parsed_channels(channels), parsed_share(max_miss)
    said = None if unlabelled is None else unlabelled.value
    reading = {"format": as_format, "split": split, "unlabelled": said, "targets": target or None, "most": first, "channels": chosen}
    if add or forget:
        _refuse(
            {
                "--method": method,
                "--backbone": backbone,
                "--checkpoint": checkpoint,
                "--preset": preset,
                "--set": settings,
                "--instances": None if instances == "auto" else instances,
            }
        )
        if examples.suffix != ENDING:
            raise UsageError("only a task can be changed by --add and --forget", where=str(examples), remedy="Give its .task file, or learn from all at once")
        written = _target(out or examples, may_overwrite=force or out is None or out.resolve() == examples.resolve())
        task = _changed(examples, add or [], forget or [], reading, place)
        if share is not None:
            task.decide(share, progress=_show)
    else:
        written = _target(out, may_overwrite=force)
        try:
            task = _learned(examples, reading, method, backbone, preset, checkpoint, place, parse_settings(settings or []), thumbnails, instances, share)
        except KeyboardInterrupt as error:
            print(f"\n{str(error) or 'stopped'}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
    task.save(written, compact=compact, thumbnails=thumbnails)
    if as_json:
        print(json.dumps({"path": str(written), **task.describe()}, indent=2))
        return
    _print_task(task)
    say(written)
    say(f"use it by `likewise label {written} IMAGES --out LABELS`", aside=True)


def _learned(
    examples: Path,
    reading: dict[str, Any],
    method: str | None,
    backbone: str | None,
    preset: PresetName | None,
    checkpoint: str | None,
    place: dict[str, Any],
    settings: dict[str, Any],
    thumbnails: bool,
    instances: str,
    max_miss: float | None,
) -> Task:
    if examples.suffix == ENDING:
        raise UsageError("it is learned already", where=str(examples), remedy="Change it by --add or --forget, or give labelled examples")
    from likewise import formats, task

    read = formats.read_support(examples, **reading, otherwise=task.format_otherwise(method))
    say(read.sentence, aside=True)
    return task.learn(
        read.support,
        method=method or task.usual_method(read.support),
        backbone=backbone or "auto",
        checkpoint=checkpoint,
        preset="default" if preset is None else preset.value,
        thumbnails=thumbnails,
        instances=instances,
        max_miss=max_miss,
        progress=_show,
        **place,
        **settings,
    )


def _changed(path: Path, add: list[Path], forget: list[str], reading: dict[str, Any], place: dict[str, Any]) -> Task:
    from likewise import formats, task

    changed = task.load(path, **place)
    reads = [formats.read_support(folder, **reading, otherwise=task.format_otherwise(changed.method.name)) for folder in add]
    if forget:
        changed = changed.forget(forget)
        say(f"forgot {', '.join(forget)}", aside=True)
    for read in reads:
        say(f"added {read.sentence}", aside=True)
        changed = changed.update(read.support, progress=_show)
    return changed


def _target(out: Path | None, *, may_overwrite: bool) -> Path:
    """Where to write, checked before the slow work."""
    if out is None:
        raise UsageError("there is no file to write", where="--out", remedy="Name it, for example --out cracks.task")
    if out.suffix != ENDING:
        raise UsageError(f"{out.name} does not end in {ENDING}", where="--out", remedy=f"Call it {out.stem}{ENDING}: task files are known by their ending")
    if out.exists() and not may_overwrite:
        raise OutputError("the file is already there", where=str(out), remedy="Choose another name by --out, or overwrite it by --force")
    return out


def _refuse(options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value:
            raise UsageError(f"a task that is changed keeps what it was learned with; {option} cannot change it", where=option, remedy="Leave it out")


def _show(stage: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{stage} {done}/{of}\x1b[K", end="\n" if done == of else "", file=sys.stderr, flush=True)  # the end of a longer line is erased


def _print_task(task: Task) -> None:
    from likewise.cli.inspect import left_out_lines

    weights = ", ".join(f"{role} {facts['name']} {facts['sha256'][:12]}" for role, facts in task.weights.items())
    vectors = len(task.support.class_vectors)
    learned = f"{vectors} class vectors" if vectors else f"{len(task.support)} examples"
    say(f"{task.method.name}: {learned}; {weights}", aside=True)
    if task.cached is not None:
        say(task.cached.sentence, aside=True)
    for line in left_out_lines(task.left_out):
        say(line, aside=True)
    for name, rule in task.rules.items():
        say(f"{name}: {rule.sentence()}", aside=True)
