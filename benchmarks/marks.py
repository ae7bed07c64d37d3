"""Tables of benches inside pages that are written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def between_marks(page: Path, mark: str, lines: Sequence[str]) -> None:
    """Put lines into a page between `<!-- MARK -->` and the next `<!-- end -->`. ValueError where the page has no such marks."""
    begin, end = f"<!-- {mark} -->", "<!-- end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name} has no {begin} ... {end}")
    page.write_text("\n".join([before + begin, *lines, end + after]), encoding="utf-8")
