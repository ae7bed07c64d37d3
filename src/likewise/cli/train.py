"""`likewise train`: meta-training by a recipe."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What is trained, on which episodes, and how; see recipes/.")],
    changes: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values to replace, for example optimiser.rate=1e-4.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Where to write. [default: runs/NAME of the recipe]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Begin anew where FOLDER holds a run.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the recipe and print it with all its values; nothing is trained.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Train a method on episodes by a recipe.

    The same command goes on with a run that was broken off, exactly where it was.
    """
    from likewise.training.recipe import read_recipe

    read = read_recipe(recipe, changes or [])
    if check:
        print(json.dumps(read.model_dump(mode="json"), indent=2))
        return
    from likewise.training.loop import train as run
    from likewise.training.watching import Console, listed

    folder = out or Path("runs") / recipe.stem
    outcome = run(read, folder, anew=force, watcher=Console())
    if as_json:
        best = None if outcome.best is None else {"episodes": outcome.best.episodes, **outcome.best.scores}
        print(json.dumps({"checkpoint": str(outcome.checkpoint), "best": best, "losses": outcome.losses}, indent=2))
        return
    print(f"loss {outcome.losses[0]:.3f} at the beginning, {outcome.losses[1]:.3f} at the end", file=sys.stderr)
    if outcome.best is not None:
        print(f"best after {outcome.best.episodes:,} episodes: {listed(outcome.best.scores)}", file=sys.stderr)
    print(outcome.checkpoint)
    if not outcome.whole:
        print(f"begin another training from it by method.start={outcome.checkpoint}", file=sys.stderr)
        return
    print(f"use it by `likewise label EXAMPLES IMAGES --out LABELS --method {read.method.name} --checkpoint {outcome.checkpoint}`", file=sys.stderr)
