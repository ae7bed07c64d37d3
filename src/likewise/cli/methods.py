"""`likewise methods`: the registry of methods, with the paper behind each."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer


def methods(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the methods: name, what it does, the paper behind it."""
    from likewise.methods.registry import available

    rows = list(available().values())
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.name:<{width}}  {row.line}{' ' if row.line else ''}({row.paper})")
