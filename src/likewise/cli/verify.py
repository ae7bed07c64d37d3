"""`likewise verify`: golden files against this installation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of golden files (.npz, .json).")],
    only: Annotated[str, typer.Option("--only", metavar="PREFIX", help="Only files whose name starts with this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    layouts: Annotated[
        Path | None, typer.Option("--layouts", metavar="DIR", help="Where layout files are; else spec/state_dicts beside DIR.", show_default=False)
    ] = None,
) -> None:
    """Run golden files against this installation.

    They hold inputs and outputs of official implementations. A line a file: name, largest deviation over its tolerance,
    verdict. Exits 0 only if every file of a known kind passed or said why it was skipped, and at least one ran.
    """
    from likewise.testing import golden

    results = []
    for result in golden.verify(directory, only=only, layouts=layouts):
        results.append(result)
        if not as_json:
            print(result.line(), flush=True)
    summary = golden.summary(results)
    if as_json:
        print(json.dumps(golden.as_json(results), indent=2))
    else:
        print(f"{summary['passed']} passed, {summary['failed']} failed, {summary['skipped']} skipped, {summary['unknown']} of unknown kinds")
        for kind, count in summary["unknown_kinds"].items():
            print(f"    unknown: {kind} ({count})")
    raise typer.Exit(summary["exit"])
