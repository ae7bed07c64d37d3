"""What is unlike good images, found without a label: defects on tiles from defect-free tiles alone, and on steel from the sound parts of labelled images.

    python benchmarks/unlike.py [--draws 5] [--supervised 2] [--page] [--pictures]

The tiles are halved once: by one half settings were chosen (layer, size, distance), only the other is asked about. Good examples are drawn from the first half.
Beside it stands `analogy`, which has the same good examples and the labelled defects of the first half, all kinds as one class. On steel `unlike` and `analogy`
learn from the same labelled images. One JSON a part, bench/unlike/PART.json; tables stand in docs/unlike.md; pictures in bench/unlike/pictures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import likewise
from common import BENCH, DATA, DOCS, cells, meta, need_shared, picture, read_json, truth, write_json
from marks import between_marks
from measures import auroc

OUT, PAGE = BENCH / "unlike", DOCS / "unlike.md"
CACHE = Path(os.environ.get("LIKEWISE_FEATURES", BENCH / "features"))
TILES, STEEL, CLASS = "tile_defects", "steel_defects", {1: "defect"}
HALVES = 18  # the seed by which the tiles are halved
GOOD, ALARMS, DRAWS_OF_ALARMS = (1, 3, 5, 7), (0.1, 0.3, 0.5), 10
EVERY = 7  # one pixel of so many is ranked
METRICS = ("image", "pixel", "own", "iou", "alarmed", "missed")
Answer = dict[str, Any]


def halves() -> tuple[list[str], list[str], list[str], list[str]]:
    """Names of tiles: the good and the others of the half that settings were chosen by, then those that are asked about."""
    names = sorted(path.stem for path in (DATA / TILES / "masks").glob("*.png"))
    good = [name for name in names if name in set(meta(TILES)["defect_free"])]
    random = np.random.default_rng(HALVES)
    sound, others = (random.permutation(part).tolist() for part in (good, [name for name in names if name not in good]))
    return sorted(sound[:7]), sorted(others[:15]), sorted(sound[7:]), sorted(others[15:])


def defects(name: str, image: str) -> NDArray[np.uint8]:
    """The labels (H, W) of an image with all kinds of defects as one class: 0, 1 and 255 to ignore."""
    labels = truth(name, image)
    return np.where((labels > 0) & (labels < 255), 1, labels).astype(np.uint8)


def learn(name: str, good: Sequence[str], marked: Sequence[str], method: str, **settings: Any) -> likewise.Task:
    """A task of good images, said so by a tag, and of images with their labels."""
    examples = [likewise.Example(picture(name, one), one, tags={"defect": False}) for one in good]
    examples += [likewise.Example(picture(name, one), one, label_map=defects(name, one)) for one in marked]
    return likewise.learn(likewise.Support(examples, classes=CLASS), method=method, cache=CACHE, **settings)


def ask(task: likewise.Task, name: str, images: Sequence[str]) -> list[Answer]:
    """Of each image: presence, the score of every seventh pixel that counts and whether it is a defect, and pixels in mask and truth, both and either."""
    found = []
    for one in images:
        answer, there = task.predict(picture(name, one)), defects(name, one)
        counted = there != 255
        mine, real = (np.asarray(answer.labels) > 0) & counted, there == 1
        counts = {"both": int((mine & real).sum()), "either": int((mine | real).sum()), "real": int(real.sum())}
        found.append(
            {"image": one, "presence": answer.present["defect"], "scores": answer.scores[1][counted][::EVERY], "truth": real[counted][::EVERY], **counts}
        )
    return found


def score(answers: Sequence[Answer]) -> dict[str, float | None]:
    """The figures of some answers; None for what cannot be said of them."""
    presence, real = np.array([one["presence"] for one in answers]), np.array([one["real"] > 0 for one in answers])
    own = [auroc(one["scores"], one["truth"]) for one in answers if one["truth"].any() and not one["truth"].all()]
    return {
        "image": auroc(presence, real) if real.any() and not real.all() else None,
        "pixel": auroc(np.concatenate([one["scores"] for one in answers]), np.concatenate([one["truth"] for one in answers])),
        "own": statistics.mean(own),
        "iou": sum(one["both"] for one in answers) / max(1, sum(one["either"] for one in answers)),
        "alarmed": float((presence[~real] >= 0.5).mean()) if (~real).any() else None,
        "missed": float((presence[real] < 0.5).mean()),
    }


def tiles(draws: int, supervised: int) -> Iterator[dict[str, Any]]:
    """A row for each number of good images, draw and method."""
    good, marked, fine, bad = halves()
    for count in GOOD:
        for draw in range(1 if count == len(good) else draws):
            chosen = np.random.default_rng([draw, count]).permutation(good)[:count].tolist()
            yield {"method": "unlike", "good": count, "draw": draw, **score(ask(learn(TILES, chosen, [], "unlike"), TILES, fine + bad))}
            if draw < supervised and count in (1, len(good)):
                yield {"method": "analogy", "good": count, "draw": draw, **score(ask(learn(TILES, chosen, marked, "analogy"), TILES, fine + bad))}


def alarms() -> Iterator[dict[str, Any]]:
    """A row for each share that is asked for and draw of seven good tiles of all: what was promised, and how many of the other seven set it off."""
    good, _, fine, _ = halves()
    for draw in range(DRAWS_OF_ALARMS):
        drawn = np.random.default_rng(draw).permutation(good + fine).tolist()
        for asked in ALARMS:
            task = learn(TILES, drawn[:7], [], "unlike", false_alarms=asked)
            heard = [task.predict(picture(TILES, one)).present["defect"] >= 0.5 for one in drawn[7:]]
            yield {"asked": asked, "draw": draw, "promised": task.memory.facts["alarm"]["promised"], "alarmed": float(np.mean(heard))}


def steel(draws: int, supervised: int) -> Iterator[dict[str, Any]]:
    """A row for each draw of labelled images and method."""
    for cell in cells([STEEL], ("split", "1", "5"), draws):
        for method in ("unlike", "analogy"):
            if method == "unlike" or cell.draw < supervised:
                found = score(ask(learn(STEEL, [], cell.support, method), STEEL, cell.query))
                yield {"method": method, "shots": cell.shots, "draw": cell.draw, **found}


def mean(rows: Sequence[dict[str, Any]], metric: str, factor: float = 1.0) -> str:
    """The mean of a figure over rows, with the deviation of several."""
    values = [factor * row[metric] for row in rows if row[metric] is not None]
    digits = 0 if factor == 100 else 2
    if not values:
        return ""
    return f"{statistics.mean(values):.{digits}f}" + (f" ± {statistics.pstdev(values):.{digits}f}" if len(values) > 1 else "")


def table(rows: Sequence[dict[str, Any]], column: str, title: str) -> Iterator[str]:
    """A line for each method and number of examples."""
    yield f"| {title} | method | draws | image AUROC | pixel AUROC | the same by picture | IoU, % | good images alarmed, % | defects missed, % |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for key, method in dict.fromkeys((row[column], row["method"]) for row in rows):
        own = [row for row in rows if (row[column], row["method"]) == (key, method)]
        cells_of = [mean(own, metric, 1.0 if metric in METRICS[:3] else 100) for metric in METRICS]
        yield f"| {key} | `{method}` | {len(own)} | " + " | ".join(cells_of) + " |"


def table_of_alarms(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each share that was asked for."""
    yield "| asked for, % | promised from seven good images, % | found on the other seven, % |"
    yield "|---|---|---|"
    for asked in ALARMS:
        own = [row for row in rows if row["asked"] == asked]
        yield f"| {100 * asked:.0f} | {mean(own, 'promised', 100).split(' ')[0]} | {mean(own, 'alarmed', 100)} |"


def draw_pictures() -> None:
    """A strip for each asked image: picture, truth, score and mask, of tiles from seven good ones and of steel from the split."""
    good, _, fine, bad = halves()
    (split,) = cells([STEEL], ("split",), 1)
    for name, task, images in ((TILES, learn(TILES, good, [], "unlike"), fine + bad), (STEEL, learn(STEEL, [], split.support, "unlike"), split.query)):
        (OUT / "pictures" / name).mkdir(parents=True, exist_ok=True)
        for one in images:
            answer = task.predict(picture(name, one))
            shown = np.asarray(Image.open(picture(name, one)).convert("L"))
            parts = [shown, 255 * (defects(name, one) == 1), 255 * answer.scores[1], 255 * (np.asarray(answer.labels) > 0)]
            strip = np.concatenate([np.pad(np.asarray(part).astype(np.uint8), ((0, 0), (0, 4)), constant_values=128) for part in parts], axis=1)
            Image.fromarray(strip).save(OUT / "pictures" / name / f"{one}_{answer.present['defect']:.2f}.png")


def main() -> None:
    """Measure what was not measured yet, then print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--supervised", type=int, default=2, help="draws that analogy is measured on")
    parser.add_argument("--page", action="store_true", help="also write the tables into their page")
    parser.add_argument("--pictures", action="store_true", help="also draw the answers")
    arguments = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    parts: dict[str, tuple[Callable[[], Iterator[dict[str, Any]]], Callable[[list[dict[str, Any]]], Iterator[str]]]] = {
        "tiles": (lambda: tiles(arguments.draws, arguments.supervised), lambda rows: table(rows, "good", "good tiles")),
        "alarms": (alarms, table_of_alarms),
        "steel": (lambda: steel(arguments.draws, arguments.supervised), lambda rows: table(rows, "shots", "labelled images a class")),
    }
    for part, (measured, told) in parts.items():
        path = OUT / f"{part}.json"
        if read_json(path) is None:
            write_json(path, list(measured()))
        lines = list(told(read_json(path)))
        print(part, *lines, sep="\n", flush=True)
        if arguments.page:
            between_marks(PAGE, part, lines)
    if arguments.pictures:
        draw_pictures()


if __name__ == "__main__":
    main()
