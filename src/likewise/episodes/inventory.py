"""What of a published benchmark's data is in a folder, what is missing, and where it is to be had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from likewise.episodes.classification.stock import SOURCES as CLASS_SOURCES
from likewise.episodes.classification.stock import class_stock
from likewise.episodes.folds import FOLDS, OfficialName
from likewise.episodes.fss import FssBenchmark
from likewise.episodes.lists import ImageList, Split, read_list
from likewise.episodes.official import OfficialBenchmark, list_folder
from likewise.episodes.stock import Stock
from likewise.episodes.taskonomy.folder import TaskonomyFolder
from likewise.episodes.taskonomy.supports import TRAINING_IMAGES
from likewise.episodes.taskonomy.tasks import BUILDINGS, TASKS
from likewise.errors import InputError, UsageError, close_match

LISTS_FROM = "https://github.com/dahyun-kang/cst (data/splits)"
SOURCES = {
    "pascal-5i": {
        "pictures": "PASCAL VOC 2012, http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ (training and validation data: VOC2012/JPEGImages)",
        "masks": "SegmentationClassAug: VOC 2012 joined with SBD, http://home.bharathh.info/pubs/codes/SBD/download.html; "
        "ready-made as https://github.com/juhongm999/hsnet says",
    },
    "coco-20i": {
        "pictures": "COCO, https://cocodataset.org/#download (2014 train and val images: train2014, val2014)",
        "masks": "annotations/train2014 and annotations/val2014, drawn by the authors of the lists: https://github.com/juhongm999/hsnet says where",
    },
    "taskonomy": {
        "pictures": "Taskonomy, the split called tiny (35 buildings, rgb), https://github.com/StanfordVL/taskonomy/tree/master/data",
        "masks": "Taskonomy, the split called tiny, the domains of the nine stored tasks, https://github.com/StanfordVL/taskonomy/tree/master/data",
    },
    "fss-1000": {"pictures": "FSS-1000, https://github.com/HKUSTCV/FSS-1000", "masks": "FSS-1000, https://github.com/HKUSTCV/FSS-1000"},
}
FSS_CLASSES = 1000


def take_stock(name: str, root: Path) -> list[Stock]:
    """What of the benchmark is in `root`: lists, pictures, masks; classes of whole pictures. UsageError for a benchmark without fixed data."""
    if name not in SOURCES and name not in CLASS_SOURCES:
        raise UsageError(f"there is no benchmark {name!r} with fixed data", where="data check", remedy=close_match(name, [*SOURCES, *CLASS_SOURCES]))
    if not root.is_dir():
        wanted = CLASS_SOURCES[name] if name in CLASS_SOURCES else SOURCES[name]["pictures"]
        raise InputError("there is no such folder", where=str(root), remedy=f"Make it, and put the data into it: {wanted}")
    if name in CLASS_SOURCES:
        return class_stock(name, root)
    if name == "taskonomy":
        return _taskonomy(root)
    return _fss(root) if name == "fss-1000" else _official("pascal-5i" if name == "pascal-5i" else "coco-20i", root)


def _official(name: OfficialName, root: Path) -> list[Stock]:
    lists, stock = _lists(name, root)
    names = sorted({image for found in lists for images in found.by_class.values() for image in images})
    pictures = OfficialBenchmark(name, root).pictures
    return [
        stock,
        _files("pictures", [pictures.image_path(image) for image in names], root, SOURCES[name]["pictures"]),
        _files("masks", [pictures.mask_path(image) for image in names], root, SOURCES[name]["masks"]),
    ]


def _lists(name: OfficialName, root: Path) -> tuple[list[ImageList], Stock]:
    """The lists that can be read, and what is to be said of all."""
    wanted: list[tuple[int, Split]] = [(fold, split) for split in ("trn", "val") for fold in range(FOLDS)]
    found, wrong, remark = [], [], ""
    for fold, split in wanted:
        try:
            found.append(read_list(name, list_folder(name, root), fold, split))
        except InputError as error:
            wrong.append(f"{split}, fold {fold}")
            remark = remark or f"{error.where}: {error.what}"
    return found, Stock("lists of folds", len(found), len(wanted), LISTS_FROM, tuple(wrong), remark)


def _files(what: str, paths: Sequence[Path], root: Path, source: str) -> Stock:
    """How many of the files there are; folders are listed once, since there are many files."""
    held = {folder: {path.name for path in folder.iterdir()} if folder.is_dir() else set() for folder in {path.parent for path in paths}}
    missing = [path for path in paths if path.name not in held[path.parent]]
    remark = "" if paths else "without lists nobody knows which are needed"
    return Stock(what, len(paths) - len(missing), len(paths), source, tuple(_short(missing, root)), remark)


def _short(paths: Iterable[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths][:3]


def _fss(root: Path) -> list[Stock]:
    source = SOURCES["fss-1000"]["pictures"]
    try:
        benchmark = FssBenchmark(root)
    except InputError as error:
        return [Stock("classes", 0, FSS_CLASSES, source, (), error.what)]
    images = sorted(path for name in benchmark.class_names.values() for path in (benchmark.root / name).glob("*.jpg"))
    return [
        Stock("classes", len(benchmark.class_names), FSS_CLASSES, source, (), benchmark.folding.origin),
        _files("pictures", images, root, source),
        _files("masks", [path.with_suffix(".png") for path in images], root, source),
    ]


def _taskonomy(root: Path) -> list[Stock]:
    """Buildings of each part by their pictures, and the labels of each stored task beside those pictures."""
    folder, source = TaskonomyFolder(root), SOURCES["taskonomy"]
    try:
        images = folder.images
    except InputError as error:
        return [Stock("pictures", 0, 1, source["pictures"], (), error.what)]
    found = []
    for part, buildings in BUILDINGS.items():
        there = [building for building in buildings if building in images]
        missing = [building for building in buildings if building not in images]
        count = sum(len(images[building]) for building in there)
        remark = f"{count:,} pictures" + (f", published {TRAINING_IMAGES:,}" if part == "train" and count != TRAINING_IMAGES else "")
        found.append(Stock(f"buildings, {part}", len(there), len(buildings), source["pictures"], tuple(missing[:3]), remark))
    names = folder.sorted_images(BUILDINGS)
    stored = [task for task in TASKS.values() if task.folder]
    return found + [_files(f"labels, {task.name}", [folder.label_path(name, task) for name in names], root, source["masks"]) for task in stored]
