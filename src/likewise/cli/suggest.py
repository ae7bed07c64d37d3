"""`likewise suggest`: which images are worth a label next."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.options import CacheFolder, CacheSize, MaxPixels, feature_store
from likewise.cli.printing import say
from likewise.errors import OutputError, UsageError

TASK_ENDING = ".task"


def suggest(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="The images to choose from: a folder, a text file of paths, or a data set.")],
    count: Annotated[int, typer.Option("-n", "--count", metavar="N", help="How many images to suggest.")] = 5,
    task: Annotated[
        Path | None, typer.Option("--task", metavar="FILE", help="A .task file: its examples count as known, and where it is least sure counts most.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Also write a page with the pictures, a new .html file.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of IMAGES, or 'all'. [default: query]")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="A name of `likewise weights list`, without --task. [default: auto]")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="auto, torch or openvino.")] = "auto",
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
    max_pixels: MaxPixels = 200_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Name the images of IMAGES that are worth a label next, the most useful first.

    Without a task: those that together show most of what the folder shows. With one: those that add most to its examples, first where it
    is unsure.
    """
    from likewise.data.limits import set_pixel_limit
    from likewise.formats import list_images
    from likewise.formats.files import write_atomic
    from likewise.labelling import suggesting
    from likewise.task import load
    from likewise.task.learning import Place, make_method, open_provider

    set_pixel_limit(max_pixels)
    if task is not None and backbone is not None:
        raise UsageError("a task has its own backbone", where="--backbone", remedy="Leave it out")
    if task is not None and task.suffix != TASK_ENDING:
        raise UsageError(f"{task} is no {TASK_ENDING} file", where="--task", remedy="Learn one with `likewise learn EXAMPLES --out FILE.task`")
    if page is not None and page.exists():
        raise OutputError("it is there already", where=str(page), remedy="Choose another name with --page")
    listed = list_images(images, split=split)
    store = feature_store(cache, cache_size)
    opened = None if task is None else load(task, device=device, engine=engine, cache=store)
    place = Place.of(device, engine, "auto", store)
    provider = open_provider(backbone or "auto", place, make_method("prototype", "default", {})) if opened is None else opened.ready()
    found = suggesting.suggest(listed, count, provider, task=opened, watch=_show)
    if page is not None:
        write_atomic(page, suggesting.page(found).encode("utf-8", "replace"))
    if as_json:
        print(json.dumps(found.as_dict(), indent=2))
    else:
        for one in found.chosen:
            say(one.path)
    for name, reason in found.failed.items():
        say(f"{name}: {reason}", aside=True)
    where = f"; open {page} to look at them" if page else ""
    say(f"{found.looked:,} of {found.of:,} images compared{where}", aside=True)


def _show(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\rlooked at {done}/{of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
