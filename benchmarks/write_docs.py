"""Writes docs/benchmarks.md, and the picture of the memory curve, from whatever stands in bench/.

python benchmarks/write_docs.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common import DOCS
from provenance import code_key
from results import load
from tables_accuracy import accuracy
from tables_speed import endurance, speed
from tables_trust import absence, confidence, hindsight

HEAD = """\
# Benchmarks

Written by `make bench` from its own results; every figure was measured, with the command above its table. The sets are
those of `../shared/data` (research sets that are not part of this repository), the arithmetic is that of
`../shared/tools/score.py`: mIoU in percent over the classes without the background, counts pooled over the queries.

{weights}

Read with care: the settings of `analogy` were chosen while looking at these sets and draws, while the other methods were
not tuned, so the tables flatter it; only sets that nobody here has seen can tell by how much. All methods in one table,
with peers and the working sizes of each as rows of their own: [the arena](arena.md).
"""
PICTURES = """\
## Pictures

A row a set: a support picture with its labels, a new picture, its truth, our answer (`default`), and that of the best other method
in the table. The picture is the median by our IoU among the queries that show something.

![nuclei, retina, subjects](images/answers.jpg)

Pictures: `nuclei` BBBC038v1 (2018 Data Science Bowl, Broad Bioimage Benchmark Collection, CC0); `retina` CHASE_DB1 (Fraz et al.
2012, Kingston University, CC BY 4.0, re-encoded); `subjects` DreamBooth (Ruiz et al. 2023, CC BY 4.0 and Unsplash, scaled; masks
made for this project).
"""


def weights() -> str:
    """The weights with which the rows were made, by name and hash."""
    found = {(row["weights"]["name"], row["weights"]["sha256"]) for draws in load().found.values() for row in draws.values()}
    return "Weights: " + "; ".join(f"`{name}`, sha256 `{sha256}`" for name, sha256 in sorted(found)) + "." if found else ""


def stale() -> str:
    """A word on rows that other code made than stands here now, empty if there are none."""
    rows = [row for draws in load().found.values() for row in draws.values()]
    old = sum(row["code"] != code_key(row["method"]) for row in rows)
    return f"{old} of {len(rows)} rows of accuracy were made by other code than stands here: run accuracy.py again" if old else ""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DOCS)
    out = parser.parse_args().out
    (out / "images").mkdir(parents=True, exist_ok=True)
    shown = [PICTURES] if (out / "images" / "answers.jpg").exists() else []
    older = [f"{stale().partition(':')[0]}.\n"] if stale() else []
    parts = [HEAD.format(weights=weights()), *older, *accuracy(), *absence(), *confidence(), *hindsight(), *shown, *speed(), *endurance(out / "images")]
    (out / "benchmarks.md").write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    if word := stale():
        print(word, file=sys.stderr)


if __name__ == "__main__":
    main()
