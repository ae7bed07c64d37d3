"""`likewise weights`: what can be had, from where, under which licence, and what is here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

weights_app = typer.Typer(help="What weights there are, where they come from, and which are here.", no_args_is_help=True, rich_markup_mode=None)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@weights_app.command("list")
def list_weights(as_json: JsonOption = False) -> None:
    """Every set of weights: architecture, licence, paper, places, hash, and whether it is here."""
    from likewise.weights import cache_folder, survey

    rows = survey()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        _print_row(row)
    print(f"cache: {cache_folder()}; fetch one by `likewise weights pull NAME`", file=sys.stderr)


@weights_app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `likewise weights list` shows.")],
    as_json: JsonOption = False,
) -> None:
    """Fetch weights into the cache, or check the ones that are there; prints the file."""
    from likewise.weights import fetch, record_of

    path = fetch(name)
    if as_json:
        print(json.dumps({"path": str(path), **(record_of(name) or {})}, indent=2))
        return
    print(path)
    print(f"{name} is here; make it the default by `likewise weights default {name}`", file=sys.stderr)


@weights_app.command("convert")
def convert(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="The method that the checkpoint belongs to, for example cst.")],
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint as its authors publish it. Nothing in it is run.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="The file to write.")],
    base: Annotated[
        Path | None,
        typer.Option("--base", metavar="FILE", help="The checkpoint that FILE was tuned from, if FILE holds only what was tuned.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT if it is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Convert a published checkpoint of a method; use it by `--checkpoint OUT`."""
    from likewise.methods.convert import convert_checkpoint

    count = convert_checkpoint(method, source, out, base=base, overwrite=force)
    if as_json:
        print(json.dumps({"path": str(out), "tensors": count}))
        return
    print(out)
    use = f"`likewise label EXAMPLES IMAGES --out LABELS --method {method} --checkpoint {out}`"
    print(f"{count} tensors; use them by {use}, or a network alone by `method.start={out}` behind `likewise train RECIPE`", file=sys.stderr)


@weights_app.command("default")
def default(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Weights that are in the cache.")],
    as_json: JsonOption = False,
) -> None:
    """Choose the weights that `auto` means from now on."""
    from likewise.weights import set_default

    set_default(name)
    if as_json:
        print(json.dumps({"default": name}))
    else:
        print(f"{name} is the default from now on", file=sys.stderr)


def _print_row(row: dict[str, Any]) -> None:
    state = "here" if row["here"] else "not here"
    print(f"{row['name']}  [{state}{', default' if row['default'] else ''}]")
    print(f"    {row['summary']}")
    print(f"    licence: {row['licence']}; paper: {row['paper']}")
    for place in row["places"]:
        digest = place["sha256"] or "not known"
        print(f"    from {place['place']}; sha256 {digest} ({place['hash']})")
    if row["notes"]:
        print(f"    {row['notes']}")
