"""The tables of docs/methods/labels.md on what prompts are worth, from whatever rows stand in bench/prompts.

python benchmarks/tables_prompts.py
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from common import DOCS
from marks import between_marks
from prompts import ASKED, KINDS, OUT, VARIANTS
from results import Draws, Rows, common_draws, load, mean, spread

WORDS = {"mask": "masks", "box": "boxes", "scribble": "a scribble", "point1": "one point", "point3": "three points", "point5": "five points", "tag": "tags"}
GOALS = {"box": 90, "point3": 80}
CELLS = [(name, shots) for name, all_shots in ASKED.items() for shots in all_shots]


def scores(rows: Rows, variant: str) -> list[str]:
    """A line a set and number of images: mIoU from each kind over its draws, their deviation, and in brackets the share of the masks' on the same draws."""
    lines = _head(["set, images a class", "draws", *WORDS.values()])
    for name, shots in CELLS:
        masks = rows.of(f"{variant}-mask", shots, name)
        if masks:
            cells = [_cell(rows.of(f"{variant}-{kind}", shots, name), masks, share=kind != "mask") for kind in KINDS]
            lines.append(_line([f"`{name}`, {shots}", str(len(masks)), *cells]))
    return lines


def shares(rows: Rows) -> list[str]:
    """A line a method: the mean mIoU of masks over sets and numbers of images, and of each kind as a share of that, over those that both have."""
    lines = _head(["method", "rows", "masks, mIoU", *(f"{WORDS[kind]}, %" for kind in KINDS if kind != "mask")])
    for variant in VARIANTS:
        masks = [mean(draws) for name, shots in CELLS if (draws := rows.of(f"{variant}-mask", shots, name))]
        if masks:
            name = variant if variant.startswith("analogy") else variant.removesuffix("-default")
            cells = [_pooled(rows, variant, kind) for kind in KINDS if kind != "mask"]
            lines.append(_line([f"`{name}`", str(len(masks)), f"{statistics.mean(masks):.1f}", *cells]))
    return lines


def _pooled(rows: Rows, variant: str, kind: str) -> str:
    found = [common_draws(rows.of(f"{variant}-{kind}", shots, name), rows.of(f"{variant}-mask", shots, name)) for name, shots in CELLS]
    both = [(mean(own), mean(masks)) for own, masks in found if own]
    return f"{100 * sum(own for own, _ in both) / sum(masks for _, masks in both):.0f}" if both else ""


def goals(rows: Rows, variant: str) -> str:
    """A sentence on what was hoped for and what is reached."""
    said = []
    for kind, goal in GOALS.items():
        found = {(name, shots): share for name, shots in CELLS if (share := _share(rows, variant, kind, shots, name)) is not None}
        reached = [f"`{name}` {shots}" for (name, shots), share in found.items() if share >= goal]
        said.append(f"{WORDS[kind]} reach {goal} % of the masks' mIoU on {len(reached)} of {len(found)} ({', '.join(reached)})")
    tags = [f"{share:.0f} % from {shots}" for name, shots in CELLS if name == "objects" and (share := _share(rows, variant, "tag", shots, name)) is not None]
    return f"Hoped for and reached: {'; '.join(said)}; tags 60 % on `objects`: {', '.join(tags)}."


def refined(rows: Rows, variant: str) -> list[str]:
    """A line a set and number of images: IoU and precision of the masks that prompts were turned into, against those that they were made from."""
    kinds = [kind for kind in KINDS if kind != "mask"]
    lines = _head(["set, images a class", *(WORDS[kind] for kind in kinds)])
    for name, shots in CELLS:
        found = [rows.of(f"{variant}-{kind}", shots, name) for kind in kinds]
        if any(found):
            cells = ["" if not draws else " / ".join(f"{_refined(draws, key):.0f}" for key in ("iou", "precision")) for draws in found]
            lines.append(_line([f"`{name}`, {shots}", *cells]))
    return lines


def _share(rows: Rows, variant: str, kind: str, shots: str, name: str) -> float | None:
    own, masks = common_draws(rows.of(f"{variant}-{kind}", shots, name), rows.of(f"{variant}-mask", shots, name))
    return 100 * mean(own) / mean(masks) if own else None


def _cell(draws: Draws, masks: Draws, *, share: bool) -> str:
    if not draws:
        return ""
    own, same = common_draws(draws, masks)
    deviation = spread(draws)
    words = f"{mean(draws):.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")
    return f"{words} ({100 * mean(own) / mean(same):.0f})" if share and own else words


def _refined(draws: Draws, key: str) -> float:
    return statistics.mean(row["refined"][key] for row in draws.values())


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), "|" + " --- |" * len(cells)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Put the tables into the page."""
    rows, page = load(OUT), DOCS / "methods" / "labels.md"
    between_marks(page, "prompts", [*scores(rows, "analogy-fast"), "", goals(rows, "analogy-fast"), "", *shares(rows)])
    between_marks(page, "refined", refined(rows, "analogy-fast"))


if __name__ == "__main__":
    main()
