"""`likewise data check`: what of a benchmark's data is there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

INCOMPLETE = 4  # bad input, as everywhere

data_app = typer.Typer(help="Data of published benchmarks: nothing of them comes with Likewise.", no_args_is_help=True, rich_markup_mode=None)


@data_app.callback()
def _group() -> None:
    """Data of published benchmarks: nothing of them comes with Likewise."""


@data_app.command("check")
def check(
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK",
            help="pascal-5i, coco-20i, fss-1000 or taskonomy; of whole pictures classes, omniglot, omniglot-mini, lake, mini-imagenet, cub or mini-imagenet-to-cub.",
        ),
    ],
    root: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds its lists, pictures and masks.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what of a benchmark is in DIR, what is missing, and where it is to be had."""
    from likewise.episodes.classification.stock import SOURCES, word
    from likewise.episodes.inventory import take_stock
    from likewise.episodes.opening import NAMED

    found = take_stock(benchmark, root)
    if as_json:
        print(json.dumps([asdict(stock) | {"complete": stock.complete} for stock in found], indent=2))
    else:
        for stock in found:
            print(
                f"{'ok     ' if stock.complete else 'missing'} {stock.what}: {stock.there:,} of {stock.needed:,}"
                + (f" ({stock.remark})" if stock.remark else "")
            )
            if not stock.complete:
                print("\n".join([*(f"          {name}" for name in stock.missing), f"        get them from {stock.source}"]))
        if all(stock.complete for stock in found) and (benchmark in NAMED or benchmark in SOURCES):
            print(f"use it by `likewise evaluate METHOD {word(benchmark, root)}`")
    if not all(stock.complete for stock in found):
        raise typer.Exit(INCOMPLETE)
