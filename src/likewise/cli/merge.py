"""`likewise merge`: the shards of a list as one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.summary import told


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PARTS...", help="The folders that `likewise label --shard i/n` wrote, all n of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LABELS", help="A new folder for all labels, the manifest and the report.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Join the shards of a list, labelled by several machines, into LABELS, as if one machine had labelled all of it.

    Shards of different tasks, options or lists are refused. PARTS stay as they are; label files are linked where the file system can, else copied.
    """
    from likewise.labelling import merge as joined

    told(joined(parts, out), as_json=as_json)
