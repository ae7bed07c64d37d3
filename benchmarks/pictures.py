"""One row of pictures a set: support, query, truth, our answer, the best baseline's; and the picture of the README.

    python benchmarks/pictures.py [--sets NAME ...]

The query is chosen by rule, not by taste: the median by our own IoU among the queries of the set's split that show a class,
from the rows of accuracy.py, whose best baseline is shown beside. Writes bench/pictures/index.html (ignored) for all sets,
and into docs/images only sets whose licence allows it: `nuclei` (CC0), `retina` and `subjects` (CC BY 4.0).
"""

from __future__ import annotations

import argparse
import html
import os
import statistics
import warnings
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import likewise
from common import BENCH, DOCS, classes, meta, need_shared, picture, semantic_sets, shown, truth
from likewise.data.images import read_image
from likewise.data.prediction import draw_labels
from results import OURS, Row, load, sides

HEIGHT, GAP = 256, 6
OUT = BENCH / "pictures"
ALLOWED = ("nuclei", "retina", "subjects")
Labels = NDArray[np.generic]


@dataclass(frozen=True)
class Story:
    """What a row shows: a support image, a query, and labels of the query by ours and by the best baseline (None: not measured)."""

    set: str
    support: str
    query: str
    iou: float
    queries: int
    ours: Labels
    baseline: str | None
    theirs: Labels | None


def median_query(row: Row) -> tuple[str, float, int]:
    """The query that is the median by IoU, its IoU, and of how many; the lower one of two in the middle."""
    found = {}
    for name, counts in row["per_query"].items():
        if shown(row["set"], name):
            found[name] = statistics.mean(both / either for both, either in counts.values())
    order = sorted(found, key=lambda name: (found[name], name))
    chosen = order[(len(order) - 1) // 2]
    return chosen, found[chosen], len(order)


def support_for(row: Row, query: str) -> str:
    """The support image to show beside a query: of the same kind by its name if there is one, else one that shows most of its classes."""
    kind, wanted = _kind(query), shown(row["set"], query) or frozenset()
    found: str = max(row["support"], key=lambda name: (len((shown(row["set"], name) or frozenset()) & wanted), _kind(name) == kind))
    return found


def tell(row: Row) -> Story:
    """The story of a set, from its row on the own split: both tasks learned again and asked about the median query."""
    name = row["set"]
    query, iou, count = median_query(row)
    support = likewise.Support([likewise.Example(picture(name, image), label_map=truth(name, image)) for image in row["support"]], classes=classes(name))
    ours = likewise.learn(support).predict(picture(name, query)).labels
    best = load().best_baseline("split", name)
    said, theirs = None, None
    if best is not None:
        (other,) = best[1].values()
        settings = {} if other["side"] is None else {"side": other["side"]}
        said = f"{other['method']} at {sides(best[1])}"
        theirs = likewise.learn(support, method=other["method"], **settings).predict(picture(name, query)).labels
    return Story(name, support_for(row, query), query, iou, count, ours, said, theirs)


def panels(story: Story) -> list[tuple[str, Image.Image]]:
    """The pictures of a row with their words, at the common height."""
    seen, asked = read_image(picture(story.set, story.support)), read_image(picture(story.set, story.query))
    found = [
        (f"support {story.support}", draw_labels(seen, truth(story.set, story.support))),
        (f"query {story.query}", asked),
        ("truth", draw_labels(asked, truth(story.set, story.query))),
        (f"analogy, IoU {100 * story.iou:.0f}", draw_labels(asked, story.ours)),
    ]
    if story.theirs is not None:
        found.append((story.baseline or "", draw_labels(asked, story.theirs)))
    return [(words, _small(pixels)) for words, pixels in found]


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """Rows of pictures on one white sheet."""
    widths = [sum(image.width for image in row) + GAP * (len(row) - 1) for row in rows]
    found = Image.new("RGB", (max(widths), HEIGHT * len(rows) + GAP * (len(rows) - 1)), "white")
    for place, row in enumerate(rows):
        left = 0
        for image in row:
            found.paste(image, (left, place * (HEIGHT + GAP)))
            left += image.width + GAP
    return found


def page(stories: list[tuple[Story, list[tuple[str, Image.Image]]]]) -> str:
    """The HTML of all rows; the pictures are written beside it."""
    parts = ["<!doctype html><meta charset=utf-8><title>Answers</title>", "<style>body{font:14px sans-serif}figure{display:inline-block;margin:4px}</style>"]
    parts.append("<p>One row a set: the query is the median by our IoU. Many sets may not be passed on: see the licence of each.</p>")
    for story, images in stories:
        parts.append(f"<h2>{story.set}</h2><p>Median of {story.queries} queries. Licence: {html.escape(meta(story.set)['licence'])}</p>")
        for place, (words, image) in enumerate(images):
            name = f"{story.set}_{place}.jpg"
            image.save(OUT / name, quality=85)
            parts.append(f"<figure><img src='{name}'><figcaption>{html.escape(words)}</figcaption></figure>")
    return "\n".join(parts)


def _kind(name: str) -> str:
    return "".join(takewhile(lambda sign: not sign.isdigit(), name))


def _small(pixels: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(pixels)
    return image.resize((round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    """Write the page, and the pictures of the docs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=[])
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    rows = [row for name in arguments.sets or semantic_sets() for row in load().of(OURS, "split", name).values()]
    OUT.mkdir(parents=True, exist_ok=True)
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    stories = [(story, panels(story)) for story in map(tell, rows)]
    (OUT / "index.html").write_text(page(stories), encoding="utf-8")
    allowed = {story.set: [image for _, image in images] for story, images in stories if story.set in ALLOWED}
    if "nuclei" in allowed:
        support, query, expected, ours, *_ = allowed["nuclei"]
        sheet([[support, query, ours, expected]]).save(DOCS / "images" / "nuclei.jpg", quality=85)
    if len(allowed) == len(ALLOWED):
        sheet([allowed[name] for name in ALLOWED]).save(DOCS / "images" / "answers.jpg", quality=85)
    print(f"{len(stories)} rows in {OUT.name}/index.html; {len(allowed)} of them may stand in the docs")


if __name__ == "__main__":
    main()
