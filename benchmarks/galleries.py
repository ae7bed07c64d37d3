"""Galleries of CST: answers, token maps and pseudo masks; the best, the middle and the worst by IoU, so that failures are seen.

    python benchmarks/galleries.py [--checkpoint FILE] [--sets NAME ...] [--episodes N] [--set KEY=VALUE ...] [--docs]

Which cases are shown is a rule, not taste: of all 1-way 1-shot episodes whose query shows the class the three with the highest IoU, three around the
median, the three with the lowest, and the three in which presence was most wrong; of all pictures the three best, middle and worst pseudo masks by the mean
IoU of the two kinds. Writes bench/galleries/SET/index.html (ignored). With --docs also pictures of `subjects` (CC BY 4.0) and `nuclei` (CC0) into
docs/images, one case of each kind, for docs/methods/cst_gallery.md. A checkpoint is made by `likewise train recipes/cst/small-pixel.toml`; without one
that comes with the program is taken, else an untrained learner: its answers mean nothing, token maps and pseudo masks are the same.
"""

from __future__ import annotations

import argparse
import html
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from common import BENCH, DATA, DOCS, meta, need_shared
from likewise.backbones import FeatureProvider, ImageFeatures
from likewise.cli.learn import parse_settings
from likewise.data.images import read_image
from likewise.data.prediction import draw_dense, draw_labels
from likewise.episodes.answering import answered, labels_in, present_in
from likewise.episodes.benchmark import Benchmark, Episodes, Frame, episodes_of
from likewise.episodes.items import VOID, relative_labels
from likewise.episodes.opening import open_benchmark
from likewise.episodes.sampling import Episode
from likewise.errors import WeightsError
from likewise.functional.resize import resize_nearest
from likewise.layers.correlation import hidden_tokens, unit_query, unit_support
from likewise.methods.base import Method
from likewise.methods.cst.pseudo import pseudo_mask
from likewise.task.equipping import Equipped, equip
from likewise.task.learning import Place, open_provider
from pictures import GAP, HEIGHT

OUT = BENCH / "galleries"
SETS = ("classes_train", "nuclei", "objects", "subjects")
PARTS = {"classes_train": "val"}  # of the others all classes were unseen
LAYERS = (2, 5, 8, 11)  # counted from 0, as far as the backbone has them
DOCUMENTED = ("subjects", "nuclei")  # whose licence allows it
PSEUDO = ("attention", "walk")
SIDE = 12  # of the square of support tokens
Pixels = NDArray[np.uint8]
Named = tuple[str, Pixels]
Case = TypeVar("Case")


@dataclass(frozen=True)
class Answer:
    """An episode of one class with its answer: presence as said and as it is, and the IoU where the query shows the class."""

    episode: Episode
    labels: NDArray[np.integer[Any]]
    said: bool
    probability: float
    shown: bool
    iou: float | None


@dataclass(frozen=True)
class Guess:
    """A picture with a class, its true mask, and its pseudo masks by kind with their IoU."""

    name: str
    truth: NDArray[np.integer[Any]]
    masks: Mapping[str, NDArray[np.bool_]]
    iou: Mapping[str, float]


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks where the truth is known; 0 for two that are empty."""
    either = ((one | other) & known).sum()
    return float((one & other & known).sum() / either) if either else 0.0


def chosen(cases: Sequence[Case], scores: Sequence[float], count: int) -> dict[str, list[Case]]:
    """`count` cases of each kind by score: the highest, those around the median, the lowest; of equal scores the earlier."""
    order = sorted(range(len(cases)), key=lambda index: (-scores[index], index))
    first = max(0, (len(order) - count) // 2)
    picked = {"best": order[:count], "median": order[first : first + count], "worst": order[::-1][:count]}
    return {kind: [cases[index] for index in places] for kind, places in picked.items()}


def answers_of(method: Method, provider: FeatureProvider, benchmark: Benchmark, episodes: Episodes, frame: Frame) -> list[Answer]:
    """Every episode with its answer; in FS-S, where the class is there, whatever presence says."""
    found = []
    for episode in episodes:
        prediction = answered(method, provider, benchmark, episode)
        (said,), (probability,) = present_in(prediction), prediction.present.values()
        whole = benchmark.labels(episode.query)
        own = relative_labels(whole, episode.classes) == 1
        labels = labels_in(prediction, frame)
        iou = overlap(labels == 1, own, whole != VOID) if own.any() else None
        found.append(Answer(episode, labels, said, float(probability), bool(own.any()), iou))
    return found


def features_of(provider: FeatureProvider, method: Method, benchmark: Benchmark, name: str) -> ImageFeatures:
    """The features of a picture."""
    prepared = provider.prepare(benchmark.source(name), method.wants())
    return provider.extract([prepared], method.wants()[0])[0]


def token_maps(query: ImageFeatures, support: ImageFeatures, mask: NDArray[np.bool_], heads: int) -> torch.Tensor:
    """Maps (L, A, h, w): the mean cosine of each query patch with the support tokens that the mask leaves visible, by layer and head."""
    mine = unit_query(query.tokens[None].float(), heads)[0]
    theirs = unit_support(support.prefix[None, :, 0].float(), support.tokens[None].float(), support.grid, SIDE, heads)[0, :, :, 1:]
    visible = ~hidden_tokens(torch.from_numpy(mask.astype(np.float32))[None], SIDE)[0]
    if not bool(visible.any()):  # a small object that no point of the square meets: everything is compared
        visible = torch.ones_like(visible)
    return (mine @ theirs[:, :, visible].mean(dim=2)[..., None])[..., 0].reshape(*mine.shape[:2], *query.grid)


def guesses_of(method: Method, provider: FeatureProvider, benchmark: Benchmark, names: Sequence[str]) -> list[Guess]:
    """The pseudo masks of pictures that show something, and how well they meet all that is labelled there."""
    found = []
    for name in names:
        labels = benchmark.labels(name)
        own, known = (labels > 0) & (labels != VOID), labels != VOID
        if not own.any():
            continue
        item = features_of(provider, method, benchmark, name)
        side = item.grid[0] * provider.backbone.config.patch
        made = {kind: pseudo_mask(item, item, (side, side), kind) for kind in PSEUDO}
        masks = {kind: resize_nearest(mask.float(), own.shape).numpy() > 0 for kind, mask in made.items()}
        found.append(Guess(name, own.astype(np.uint8), masks, {kind: overlap(mask, own, known) for kind, mask in masks.items()}))
    return found


def case_panels(answer: Answer, method: Method, provider: FeatureProvider, benchmark: Benchmark) -> list[list[Named]]:
    """Three rows of pictures: the episode and its answer, token maps by layer (mean over heads), those of the last layer by head."""
    episode, (name,) = answer.episode, answer.episode.supports[0]
    seen, asked = read_image(benchmark.source(name)), read_image(benchmark.source(episode.query))
    mask, own = relative_labels(benchmark.labels(name), episode.classes), relative_labels(benchmark.labels(episode.query), episode.classes)
    query, support = (features_of(provider, method, benchmark, each) for each in (episode.query, name))
    maps = token_maps(query, support, mask == 1, provider.backbone.config.heads)
    said = f"answer: {'there' if answer.said else 'not there'} ({answer.probability:.2f})" + ("" if answer.iou is None else f", IoU {100 * answer.iou:.0f}")
    title = benchmark.class_names[episode.classes[0]]
    first = [
        (f"support: {title}", draw_labels(seen, mask)),
        ("query", asked),
        ("truth" if answer.shown else "truth: not there", draw_labels(asked, own)),
        (said, draw_labels(asked, answer.labels)),
    ]
    layers = [layer for layer in LAYERS if layer < len(maps)]
    second = [(f"layer {layer + 1}", heat(maps[layer].mean(dim=0), asked)) for layer in layers]
    third = [(f"layer {len(maps)}, head {head + 1}", heat(plane, asked)) for head, plane in enumerate(maps[-1])]
    return [first, second, third]


def guess_panels(guess: Guess, benchmark: Benchmark) -> list[Named]:
    """The picture, its true mask and its pseudo masks."""
    pixels = read_image(benchmark.source(guess.name))
    made = [(f"{kind}, IoU {100 * guess.iou[kind]:.0f}", draw_labels(pixels, mask.astype(np.uint8))) for kind, mask in guess.masks.items()]
    return [(guess.name, pixels), ("true mask", draw_labels(pixels, guess.truth)), *made]


def heat(plane: torch.Tensor, pixels: Pixels) -> Pixels:
    """A map (h, w) as colours at the size of a picture, low dark and high bright, between its own 2nd and 98th percentile."""
    return draw_dense(pixels, resize_nearest(plane, pixels.shape[:2]).numpy())


def scaled(pixels: Pixels, height: int = HEIGHT) -> Image.Image:
    """A picture of the common height."""
    image = Image.fromarray(pixels)
    return image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS)


class Page:
    """An HTML page with its pictures beside it."""

    def __init__(self, folder: Path, title: str, words: str) -> None:
        self.folder, self.count = folder, 0
        folder.mkdir(parents=True, exist_ok=True)
        style = "<style>body{font:14px sans-serif}figure{display:inline-block;margin:4px}</style>"
        self.parts = [f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title>{style}<h1>{html.escape(title)}</h1><p>{html.escape(words)}</p>"]

    def head(self, text: str) -> None:
        """A heading."""
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def row(self, panels: Sequence[Named]) -> None:
        """Pictures side by side with their words."""
        for words, pixels in panels:
            name = f"{self.count:04d}.jpg"
            scaled(pixels).save(self.folder / name, quality=85)
            self.parts.append(f"<figure><img src='{name}' height={HEIGHT}><figcaption>{html.escape(words)}</figcaption></figure>")
            self.count += 1
        self.parts.append("<br>")

    def write(self) -> None:
        """The page; it ends with how many pictures it has."""
        (self.folder / "index.html").write_text("\n".join(self.parts), encoding="utf-8")


def gallery(name: str, method: Method, provider: FeatureProvider, called: str, count: int, cases: int = 3) -> tuple[list[Answer], list[Guess], Benchmark]:
    """Write the page of a set; what was seen for it."""
    benchmark = open_benchmark(str(DATA / name), folds=None if name in PARTS else 1)
    part = PARTS.get(name, "test")
    frame: Frame = "fscs" if len(benchmark.images(part, 0).by_class) > 1 else "fss"
    episodes = episodes_of(benchmark, part, 0, 1, 1, count, 0, frame)
    answers = answers_of(method, provider, benchmark, episodes, frame)
    showing = [answer for answer in answers if answer.iou is not None]
    page = Page(OUT / name, f"{name}: {called}", f"{len(episodes)} episodes, {len(showing)} of them show the class. Licence: {meta(name)['licence']}")
    for kind, found in chosen(showing, [answer.iou or 0.0 for answer in showing], cases).items():
        page.head(f"{kind} by IoU")
        for answer in found:
            for row in case_panels(answer, method, provider, benchmark):
                page.row(row)
    wrong = sorted((answer for answer in answers if answer.said != answer.shown), key=lambda answer: -abs(answer.probability - answer.shown))
    page.head(f"presence most wrong ({len(wrong)} of {len(answers)} are)")
    for answer in wrong[:cases]:
        page.row(case_panels(answer, method, provider, benchmark)[0])
    names = sorted({image for images in benchmark.images(part, 0).by_class.values() for image in images})
    guesses = guesses_of(method, provider, benchmark, names)
    means = {kind: 100 * float(np.mean([guess.iou[kind] for guess in guesses])) for kind in PSEUDO}
    page.head(f"pseudo masks of {len(guesses)} pictures: mean IoU " + ", ".join(f"{kind} {value:.1f}" for kind, value in means.items()))
    for kind, picked in chosen(guesses, [sum(guess.iou.values()) for guess in guesses], cases).items():
        page.head(f"pseudo masks, {kind}")
        for guess in picked:
            page.row(guess_panels(guess, benchmark))
    page.write()
    print(f"{name}: {len(showing)} episodes, mean IoU {100 * np.mean([answer.iou for answer in showing]):.1f}; pseudo masks {means}; {page.count} pictures")
    return answers, guesses, benchmark


def docs_answers(name: str, method: Method, provider: FeatureProvider, answers: Sequence[Answer], benchmark: Benchmark) -> None:
    """A picture of the docs: a case of each kind a row, its episode and its token maps by layer."""
    showing = [answer for answer in answers if answer.iou is not None]
    rows = []
    for kind, (answer,) in chosen(showing, [answer.iou or 0.0 for answer in showing], 1).items():
        first, second, _ = case_panels(answer, method, provider, benchmark)
        rows.append([scaled(pixels, 150) for _, pixels in (*first, *second)])
        print(f"{kind}: {answer.episode.supports[0][0]} -> {answer.episode.query}: {', '.join(words for words, _ in first)}")
    _save(rows, name)


def docs_guesses(name: str, guesses: Sequence[Guess], benchmark: Benchmark) -> None:
    """A picture of the docs: a pseudo mask of each kind a row."""
    rows = []
    for kind, (guess,) in chosen(guesses, [sum(guess.iou.values()) for guess in guesses], 1).items():
        panels = guess_panels(guess, benchmark)
        rows.append([scaled(pixels, 150) for _, pixels in panels])
        print(f"{kind}: {', '.join(words for words, _ in panels)}")
    _save(rows, name)


def _save(rows: Sequence[Sequence[Image.Image]], name: str) -> None:
    """Rows of pictures of one height on a sheet, as a JPEG."""
    widths, height = [sum(image.width + GAP for image in row) - GAP for row in rows], rows[0][0].height
    found = Image.new("RGB", (max(widths), (height + GAP) * len(rows) - GAP), "white")
    for place, row in enumerate(rows):
        left = 0
        for image in row:
            found.paste(image, (left, place * (height + GAP)))
            left += image.width + GAP
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    found.save(DOCS / "images" / name, quality=80)


def ready_method(checkpoint: str | None, settings: Mapping[str, Any]) -> Equipped:
    """CST with its checkpoint, with the one that comes with the program, or untrained."""
    try:
        return equip("cst", "default", settings, checkpoint)
    except WeightsError:
        if checkpoint is not None:
            raise
        return equip("cst", "default", settings, "random")


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="of cst")
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of cst, where the checkpoint does not say them")
    parser.add_argument("--docs", action="store_true", help="write the pictures of subjects into docs/images too")
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    ready = ready_method(arguments.checkpoint, parse_settings(arguments.set))
    provider = open_provider(ready.backbone, Place())
    ready.check(provider.backbone)
    method = ready.method
    called = f"cst, checkpoint {ready.weights['checkpoint']['name']}, {provider.backbone.name}"
    for name in arguments.sets:
        answers, guesses, benchmark = gallery(name, method, provider, called, arguments.episodes)
        if arguments.docs and name in DOCUMENTED:
            docs_answers(f"cst_{name}.jpg", method, provider, answers, benchmark)
            docs_guesses(f"cst_{name}_pseudo.jpg", guesses, benchmark)
    print(f"pages are in {OUT.relative_to(BENCH.parent)}")


if __name__ == "__main__":
    main()
