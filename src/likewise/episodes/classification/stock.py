"""What of a benchmark of classification is in a folder: classes of each part, with how many pictures each has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from likewise.episodes.classification.benchmark import ClassBenchmark
from likewise.episodes.classification.opening import RAVI, VINYALS, names_classes, open_classes
from likewise.episodes.classification.splits import PARTS, alternating_split, class_folders, read_split
from likewise.episodes.stock import Stock
from likewise.errors import InputError

OWN = "a folder a class of your own, or split.json with lists of classes under train, val and test"
OMNIGLOT = "Omniglot, https://github.com/brendenlake/omniglot (python/images_background.zip and images_evaluation.zip)"
SOURCES: Mapping[str, str] = {
    "classes": OWN,
    "omniglot-mini": OMNIGLOT,
    "lake": OMNIGLOT,
    "omniglot": OMNIGLOT,
    "mini-imagenet": "ILSVRC-2012, https://image-net.org (a folder a wnid)",
    "cub": "CUB-200-2011, https://www.vision.caltech.edu/datasets/cub_200_2011/ (images/)",
    "mini-imagenet-to-cub": "the pictures of mini-imagenet in mini-imagenet/, those of cub in CUB_200_2011/",
}
_LISTS = {"omniglot": VINYALS, "mini-imagenet": RAVI}  # what says which classes train, validate and test
_CUB_CLASSES = 200
_SHOWN = 3


def class_stock(name: str, root: Path) -> list[Stock]:
    """What of the benchmark is in `root`. InputError for a list that cannot be read."""
    source = SOURCES[name]
    if name in _LISTS:
        return _listed(root, root / _LISTS[name], source)
    if name == "mini-imagenet-to-cub":
        near = _listed(root / "mini-imagenet", root / RAVI, SOURCES["mini-imagenet"])
        return [replace(stock, what=f"mini-ImageNet, {stock.what}") for stock in near] + [
            replace(stock, what=f"CUB, {stock.what}") for stock in class_stock("cub", root / "CUB_200_2011")
        ]
    try:
        benchmark = open_classes(word(name, root))
    except InputError as error:
        return [Stock("classes", 0, 1, source, (), f"{error.where}: {error.what}" if error.where else error.what)]
    if benchmark.fixed:
        queries = sum(len(row) for run in benchmark.fixed for row in run.query)
        return [Stock("one-shot runs", len(benchmark.fixed), len(benchmark.fixed), source, (), f"{queries:,} queries")]
    return _opened(name, benchmark, root, source)


def word(name: str, root: Path) -> str:
    """The word by which the command line knows the benchmark in a folder: a folder that says what it is is named alone."""
    return str(root) if name == "classes" and names_classes(str(root)) else f"{name}:{root}"


def _opened(name: str, benchmark: ClassBenchmark, root: Path, source: str) -> list[Stock]:
    """The parts of a benchmark that could be opened; CUB needs all of its classes, others have those that they have."""
    found = [
        Stock(f"classes, {part}", len(items.names), len(items.names), source, (), _remark(items.sizes))
        for part, items in benchmark.parts.items()
        if items.names
    ]
    if name != "cub":
        return found
    there = sum(stock.there for stock in found)
    whole = alternating_split([f"{number:03}" for number in range(_CUB_CLASSES)])
    return (
        [Stock(stock.what, stock.there, len(getattr(whole, stock.what.removeprefix("classes, "))), source, (), stock.remark) for stock in found]
        if there
        else []
    )


def _listed(root: Path, path: Path, source: str) -> list[Stock]:
    """The classes of a published list that have a folder with images below `root`."""
    if not path.is_file():
        return [Stock(f"list {path.name}", 0, 1, f"put {path.name} into {path.parent}", (path.name,))]
    split = read_split(path)
    folders = _folders(root)
    stocks = [Stock(f"list {path.name}", 1, 1, source)]
    for part in PARTS:
        names = getattr(split, part)
        missing = [name for name in names if name not in folders]
        sizes = [folders[name] for name in names if name in folders]
        stocks.append(Stock(f"classes, {part}", len(names) - len(missing), len(names), source, tuple(missing[:_SHOWN]), _remark(sizes)))
    return stocks


def _folders(root: Path) -> dict[str, int]:
    """How many images each folder has, by its own name and by that with the folder above it: characters are known by their alphabet."""
    found: dict[str, int] = {}
    try:
        folders = class_folders(root)
    except InputError:
        return found
    for title, files in folders.items():
        parts = title.split("/")
        found |= {parts[-1]: len(files), "/".join(parts[-2:]): len(files)}
    return found


def _remark(sizes: Sequence[int]) -> str:
    """How many pictures classes have, in words."""
    if not sizes:
        return ""
    each = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    return f"{sum(sizes):,} pictures, {each} a class"
