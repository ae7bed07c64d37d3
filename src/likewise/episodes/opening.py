"""A benchmark by one word, as the command line and recipes name it."""

from __future__ import annotations

from pathlib import Path

from likewise.episodes.benchmark import Benchmark, Frame
from likewise.episodes.fss import FssBenchmark
from likewise.episodes.instances import InstancesBenchmark
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.official import OfficialBenchmark
from likewise.episodes.views import ViewsBenchmark
from likewise.errors import UsageError, close_match

NAMED = ("pascal-5i", "coco-20i", "fss-1000", "views")


def open_benchmark(
    text: str,
    *,
    folds: int | Path | None = None,
    format: str | None = None,
    lists: Path | None = None,
    own_lists: bool = False,
    least: int = 1,
    frame: Frame = "fscs",
    official: bool = False,
) -> Benchmark:
    """The benchmark that a text names: `pascal-5i:ROOT`, `coco-20i:ROOT`, `fss-1000:ROOT`, `views:PATH`, or the PATH of labelled images.

    folds, format, least: of labelled images, see `LabelledBenchmark`; lists, own_lists: of the published ones, see
    `OfficialBenchmark`; frame "nway" reads coco-20i from COCO's own instances files, official as in `InstancesBenchmark`.
    Raises UsageError for a name without a folder and options that do not fit, InputError for what is not there.
    """
    name, separator, rest = text.partition(":")
    if not separator or name not in NAMED:
        if text in NAMED:
            raise UsageError(
                f"{text} needs the folder of its data", where="benchmark", remedy=f"Write {text}:FOLDER (`likewise data check` says what it holds)"
            )
        if not Path(text).exists() and separator and "/" not in name and len(name) > 1:  # one letter is a drive
            raise UsageError(f"there is no benchmark {name!r}", where="benchmark", remedy=close_match(name, NAMED))
        return LabelledBenchmark.open(Path(text), format, folds, least)
    root = Path(rest)
    if name == "views":
        return ViewsBenchmark(LabelledBenchmark.open(root, format, 1))
    if folds is not None or format is not None:
        raise UsageError(f"{name} has its own folds and format", where="benchmark", remedy="Leave --folds and --as out")
    if name == "fss-1000":
        return FssBenchmark(root)
    if name == "coco-20i" and frame == "nway":
        return InstancesBenchmark(root, official=official)
    return OfficialBenchmark("pascal-5i" if name == "pascal-5i" else "coco-20i", root, lists, own_lists)
