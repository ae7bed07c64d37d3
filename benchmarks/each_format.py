"""`likewise label` with every format as examples and with every format as answers: scores beside those of the format that all can be compared with.

    python benchmarks/each_format.py [--only CASE ...] [--queries 10] [--page]

The examples of a set are converted to each format that can hold them, learned from by the command line, and the same images labelled; then the examples of the
first format are learned from and the answers written in each format. Answers are read back from their files and scored against the set's own labels.
The table stands in docs/formats/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import BENCH, DATA, DOCS, need_shared, read_json, write_json
from likewise.cli import main as likewise
from likewise.data import ClassTable, Example, Labels
from likewise.data.example import Unlabelled
from likewise.data.images import image_size
from likewise.data.resolve import resolve
from likewise.episodes.prompting import PromptKind, prompted
from likewise.formats import Truth, read_support, read_truth
from likewise.formats.converting import SETS, convert, planned
from likewise.formats.dataset import Dataset, without_ending
from likewise.formats.recognise import open_dataset
from likewise.formats.sheet import Need
from marks import between_marks

OUT, PAGE, MARK = BENCH / "each_format", DOCS / "formats" / "README.md", "each format"
CLASS_FORMATS = ("csv", "folders")
Answers = Mapping[str, Labels]


@dataclass(frozen=True)
class Case:
    """A set whose labels are given in one way.

    needs: what a format must hold of the examples, and of the answers; first: the format that the others are compared with; prompts: what takes the place of
    masks.
    """

    set: str
    needs: Need
    answers: Need
    first: str
    measure: str
    score: Callable[[Answers, Answers, ClassTable, ClassTable], float]
    prompts: PromptKind = "mask"


@dataclass(frozen=True)
class Row:
    """What a run gave: the format of the examples, that of the answers, the score, and whether it says the same as the first run."""

    examples: str
    answers: str
    score: float
    same: bool


def miou(found: Answers, truth: Answers, classes: ClassTable, wanted: ClassTable) -> float:
    """Mean intersection over union in per cent over the classes that occur, counts pooled over the images; classes go by name."""
    both, either = dict.fromkeys(wanted, 0), dict.fromkeys(wanted, 0)
    for name, labels in truth.items():
        known = np.ones(labels.size, bool) if labels.label_map is None else labels.label_map >= 0
        for number in wanted:
            got = found[name].mask(classes.number(wanted[number])) & known if wanted[number] in classes.names.values() else np.zeros_like(known)
            there = labels.mask(number) & known
            both[number] += int((got & there).sum())
            either[number] += int((got | there).sum())
    return 100 * float(np.mean([both[number] / either[number] for number in wanted if either[number]]))


def accuracy(found: Answers, truth: Answers, classes: ClassTable, wanted: ClassTable) -> float:
    """The share of images in per cent that got their class."""
    return 100 * float(np.mean([_word(found[name], classes) == _word(labels, wanted) for name, labels in truth.items()]))


def _word(labels: Labels, classes: ClassTable) -> str | None:
    return None if labels.label is None else classes[labels.label]


def distance(found: Answers, truth: Answers, classes: ClassTable, wanted: ClassTable) -> float:
    """Mean distance of points from the true ones in pixels, where both say one."""
    del classes, wanted
    apart = [
        np.subtract(found[name].keypoints.get(point) or np.nan, place) for name, labels in truth.items() for point, place in labels.keypoints.items() if place
    ]
    return float(np.nanmean([np.hypot(*np.broadcast_to(step, 2)) for step in apart]))


def relative_error(found: Answers, truth: Answers, classes: ClassTable, wanted: ClassTable) -> float:
    """Mean absolute relative error of depth in per cent over the known pixels."""
    del classes, wanted
    shares = []
    for name, labels in truth.items():
        true, got = labels.dense["depth"], found[name].dense["depth"]
        known = np.isfinite(true) & (true > 0)
        shares.append(float(np.mean(np.abs(got[known] - true[known]) / true[known])))
    return 100 * float(np.mean(shares))


CASES = {
    "masks of nuclei": Case("nuclei", "masks", "masks", "index-png", "mIoU", miou),
    "masks of steel": Case("steel_defects", "masks", "masks", "index-png", "mIoU", miou),
    "boxes of dogs, cups, ...": Case("subjects", "boxes", "masks", "examples", "mIoU", miou, "box"),
    "points in dogs, cups, ...": Case("subjects", "points", "masks", "examples", "mIoU", miou, "point"),
    "scribbles in dogs, cups, ...": Case("subjects", "scribbles", "masks", "examples", "mIoU", miou, "scribble"),
    "tags of dogs, cups, ...": Case("subjects", "tags", "masks", "examples", "mIoU", miou, "tag"),
    "classes of photographs": Case("caltech_mini", "class of the image", "class of the image", "folders", "accuracy", accuracy),
    "points of mice": Case("keypoints_mouse", "keypoints", "keypoints", "index-png", "distance", distance),
    "depth": Case("rgbd", "dense", "dense", "index-png", "relative error", relative_error),
}


def opened(case: Case, queries: int) -> Dataset:
    """The set with the labels of a case, and with fewer images to label."""
    dataset = open_dataset(DATA / case.set)
    splits: dict[str, Sequence[str]] = dict(dataset.splits)
    if case.needs == "class of the image":
        splits = _by_class(dataset)
    splits["query"] = splits["query"][:queries]
    if case.prompts == "mask":
        return dataclasses.replace(dataset, splits=splits)
    assert dataset.classes is not None
    classes, read = dataset.classes, dataset.example

    def example(name: str) -> Example:
        drawn = read(name)
        labels = resolve(drawn, name, drawn.size(), classes, {}, None)
        marked = prompted(drawn, labels, classes, case.prompts, np.random.default_rng(list(name.encode())))
        tags = {name: there for name, there in marked.tags.items() if there}  # few formats say what is not there
        around: Unlabelled = "unknown" if marked.points or marked.scribbles else "background"
        return Example(drawn.image, name, boxes=marked.boxes, points=marked.points, scribbles=marked.scribbles, tags=tags, unlabelled=around)

    return dataclasses.replace(dataset, splits=splits, example=example)


def _by_class(dataset: Dataset) -> dict[str, Sequence[str]]:
    """Of the first five classes three images to learn from and two to ask about, each from another class than the one before."""
    classes = sorted({name.partition("/")[0] for name in dataset.images})[:5]
    of = {one: sorted(name for name in dataset.images if name.startswith(f"{one}/")) for one in classes}
    return {"support": [of[one][place] for one in classes for place in range(3)], "query": [of[one][place] for place in (3, 4) for one in classes]}


def formats_of(need: Need) -> list[str]:
    """The formats that can be written and hold it."""
    return [name for name, encoder in SETS.items() if need in encoder.holds]


def _answers(case: Case) -> list[str]:
    """The formats that a run of this case can write: of classes of whole images a table or folders."""
    return list(CLASS_FORMATS) if case.answers == "class of the image" else formats_of(case.answers)


def asked(dataset: Dataset, folder: Path) -> Path:
    """The folder with copies of the images to label."""
    for name in dataset.query_names(None)[0]:
        target = folder / dataset.images[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dataset.root / dataset.images[name], target)
    return folder


def run(examples: Path, read_as: str, queries: Path, format: str, place: Path) -> tuple[Answers, ClassTable]:
    """What `likewise label` wrote for the images in a format, read back from its files with copies of the images where the format has them."""
    labels = place / ("masks" if format in ("index-png", "geotiff") else "")
    options = () if format in CLASS_FORMATS else ("--preset", "fast")
    arguments = ["label", examples, queries, "--out", labels, "--as", read_as, "--format", format, *options]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = likewise([str(argument) for argument in arguments])
    if code:
        raise SystemExit(f"{read_as} -> {format} ended with {code}: {said.getvalue()}")
    if labels != place and (labels / "classes.json").exists():
        shutil.move(labels / "classes.json", place / "classes.json")
    if format == "folders":  # an image is called by its new folder and its old name there
        read = read_support(place / "folders", format="folders").support
        return {f"{each.name.partition('/')[2]}{Path(str(each.image)).suffix}": each.labels for each in read.examples}, read.classes
    shutil.copytree(queries, place / {"voc": "JPEGImages", "csv": ""}.get(format, "images"), dirs_exist_ok=True)
    truth = read_truth(place, format="index-png" if format == "geotiff" else format)
    return {name: _read(truth, queries, name) for name in sorted(path.relative_to(queries).as_posix() for path in queries.rglob("*.*"))}, truth.classes


def _read(truth: Truth, queries: Path, name: str) -> Labels:
    """The answer for an image; where a format has no line for what it found nothing in, nothing."""
    size = image_size(queries / name)
    found = truth.labels(without_ending(name), size)
    return Labels(size, np.zeros(size, np.int16)) if found is None else found


def measure(case: Case, queries: int) -> Iterator[Row]:
    """A row for each format as examples and one for each as answers, the one that the others are compared with first."""
    with tempfile.TemporaryDirectory() as folder:
        place, dataset = Path(folder), opened(case, queries)
        images = asked(dataset, place / "queries")
        names = {without_ending(path.relative_to(images).as_posix()) for path in images.rglob("*.*")}
        whole = read_truth(DATA / case.set)
        truth = {f"{name}{Path(dataset.images[name]).suffix}": _read(whole, images, dataset.images[name]) for name in names}
        answered = "csv" if case.answers == "class of the image" else "index-png"
        given = [case.first, *(name for name in formats_of(case.needs) if name != case.first)]
        for name in given:
            convert(planned(dataset, name, "support"), place / name)
        first: tuple[Answers, ClassTable] | None = None
        runs = [(name, answered) for name in given] + [(case.first, name) for name in _answers(case) if name != answered]
        for number, (read_as, written) in enumerate(runs):
            found, classes = run(place / read_as, "index-png" if read_as == "geotiff" else read_as, images, written, place / f"run{number}")
            first = first or (found, classes)
            yield Row(read_as, written, case.score(found, truth, classes, whole.classes), _same(found, classes, *first))


def _same(found: Answers, classes: ClassTable, others: Answers, theirs: ClassTable) -> bool:
    """Whether two readings say the same of every image, whatever the numbers of their classes."""
    return all(_said(labels, classes) == _said(others[name], theirs) for name, labels in found.items())


def _said(labels: Labels, classes: ClassTable) -> tuple[object, ...]:
    masks = {classes[number]: labels.mask(number).tobytes() for number in classes if labels.mask(number).any()}
    points = {name: None if place is None else tuple(round(value, 3) for value in place) for name, place in labels.keypoints.items()}
    return masks, _word(labels, classes), points, {name: values.tobytes() for name, values in labels.dense.items()}


def table(cases: Mapping[str, Case]) -> Iterator[str]:
    """A line for each case that was measured: the score of the first format, and of every other one as examples and as answers."""
    yield "| labels | set | score with the first format | the same to the last pixel as examples | as answers | other scores |"
    yield "|---" * 6 + "|"
    for title, case in cases.items():
        rows = [Row(**row) for row in read_json(OUT / f"{title}.json") or ()]
        if rows:
            examples = [row.examples for row in rows[1:] if row.answers == rows[0].answers and row.same]
            answers = [row.answers for row in rows[1:] if row.answers != rows[0].answers and row.same]
            others = [f"`{row.examples}` -> `{row.answers}` {row.score:.4f}" for row in rows[1:] if not row.same]
            score = f"{case.measure} {rows[0].score:.4f}, `{rows[0].examples}` -> `{rows[0].answers}`"
            yield f"| {title} | {case.set} | {score} | {_listed(examples)} | {_listed(answers)} | {', '.join(others) or 'none'} |"


def _listed(formats: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in formats)


def main() -> None:
    """Measure the cases that were not measured yet, then print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--queries", type=int, default=10, help="images to label, at most")
    parser.add_argument("--page", action="store_true", help="also write the table into its page")
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    for title in arguments.only:
        if read_json(OUT / f"{title}.json") is None:
            rows = []
            for row in measure(CASES[title], arguments.queries):
                print(title, row, flush=True)
                rows.append(dataclasses.asdict(row))
            write_json(OUT / f"{title}.json", rows)
    lines = list(table(CASES))
    print("\n".join(lines))
    if arguments.page:
        between_marks(PAGE, MARK, lines)


if __name__ == "__main__":
    main()
