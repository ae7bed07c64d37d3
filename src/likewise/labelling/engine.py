"""The engine that labels a list of images: a stream of bounded memory that can be stopped anywhere and gone on with.

Threads decode one window of the list ahead, this thread predicts batch after batch, one thread writes.
"""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from likewise.data import ClassTable, OutputKind
from likewise.errors import InputError, OutputError, UsageError
from likewise.formats import ImageList, open_writer, read_truth
from likewise.formats.name_list import NameFile
from likewise.functional.even_draw import drawn_names
from likewise.labelling.about import About
from likewise.labelling.closing import close_run
from likewise.labelling.folder import Done, OutputFolder, opened, refuse, scan
from likewise.labelling.gallery import Gallery
from likewise.labelling.lines import LineWriter
from likewise.labelling.options import OFF, RunOptions, RunSummary
from likewise.labelling.plan import windows
from likewise.labelling.progress import Progress
from likewise.labelling.recorder import Item, Lines, Recorder, Sums
from likewise.labelling.scoring import Scorer
from likewise.labelling.shards import Shard, Spans, spans_of
from likewise.labelling.stream import Failed, WriterThread, answers, decoded_windows
from likewise.labelling.support_mean import SupportMean
from likewise.labelling.tally import Tally
from likewise.task.adapting import MOST

if TYPE_CHECKING:
    from likewise.backbones import CacheCounts
    from likewise.formats import LabelWriter, Truth
    from likewise.task import Task


PIXEL_FORMAT, CLASS_FORMATS = "index-png", ("csv", "folders")  # what is written unless something else is asked for, and all formats of whole images


def run(task: Task, images: ImageList, out: Path, options: RunOptions, progress: Progress) -> RunSummary:
    """Label every image of the list into `out`; see docs/labelling.md for what is written.

    An image that cannot be labelled is a line of the manifest, not an error. Raises OutputError if `out` cannot be
    used, InputError for a truth that does not fit; KeyboardInterrupt, with a message that says how to go on, after
    the batch during which Ctrl-C was pressed.
    """
    start = time.perf_counter()
    options = dataclasses.replace(options, format=written_format(task, options.format))
    listed = _outside(images, out)
    scorer = _scorer(task, check(out, options))
    with opened(out) as folder:
        cached = task.cached
        task = _adapted(task, folder, listed, images.root, options.adapt)
        batch = None if options.batch == "auto" else options.batch
        folder.begin(task.fingerprint() | options.that_change_labels(), batch, usual_batch(task), resume=options.resume)
        listed_names = folder.extend(listed)
        about = About.of(task)
        about.write(folder.inner)
        names, parts = _share(listed_names, folder, options.shard)
        sums = Sums(Gallery(folder.thumbnails), Tally())
        done = scan(folder, names, sums.recall)
        sums.gallery.tidy()
        work = Worklist(names, images.root, parts, done)
        writer = open_writer(
            options.format or "",
            folder.staging,
            task.classes,
            task.targets,
            overlay=options.overlays,
            keypoints=bool(task.keypoints),
            names=listed_names,
            final=folder.path,
            spread=folder.state.spread,
        )
        progress.begin(len(names), done.lines - len(done.missing))
        try:
            stopped = _label(task, work, folder, writer, sums, scorer, options, progress)
        finally:
            progress.end()
        if stopped:
            raise KeyboardInterrupt(f"stopped; what is done stands in {out}. Go on with --resume")
        counted = _counted(task.cached, cached)
        return close_run(folder, writer, about, sums.tally, done, start, report=options.report, cache=counted)


def check(out: Path, options: RunOptions) -> Truth | None:
    """The truth to compare with, if any; raises whatever can be known to be wrong before there is a task."""
    open_writer(options.format or PIXEL_FORMAT, out, ClassTable({}), {})
    refuse(out, resume=options.resume)
    return None if options.truth is None else read_truth(options.truth, format=options.truth_format, split=options.truth_split)


def written_format(task: Task, asked: str | None) -> str:
    """The format that is written: the one that was asked for, else one that fits the task's answers. UsageError for one that cannot hold them."""
    whole = OutputKind.CLASS in task.method.gives
    chosen = asked or (CLASS_FORMATS[0] if whole else PIXEL_FORMAT)
    if (chosen in CLASS_FORMATS) != whole:
        told = "gives classes of whole images" if whole else "gives no classes of whole images"
        others = " or ".join(CLASS_FORMATS) if whole else PIXEL_FORMAT
        raise UsageError(f"the method {task.method.name!r} {told}, which {chosen} does not hold", where="--format", remedy=f"Write {others}")
    return chosen


class Worklist:
    """The list of a run as windows of items.

    names: the list in its order, relative to root; parts: images of each part of the list; done: what needs no work.
    """

    def __init__(self, names: Sequence[str], root: Path, parts: Sequence[int], done: Done) -> None:
        self._names, self._root, self._parts, self.done = names, root, parts, done

    def windows(self, size: int) -> Iterator[list[Item]]:
        """The windows that have something to do, whole: what is done may share a batch with what is not."""
        for span in windows(self._parts, size):
            if span.stop > self.done.lines or not self.done.missing.isdisjoint(span):
                yield [Item(position, self._names[position], self._root / self._names[position]) for position in span]

    def wanted(self, item: Item) -> bool:
        """Whether an image has no line yet, or lost a file."""
        return item.position >= self.done.lines or item.position in self.done.missing


def usual_batch(task: Task) -> int:
    """The size of batches where none is asked for."""
    return 16 if task.fingerprint().get("device") == "cuda" else 4


@dataclass
class _Stop:
    asked: bool = False


def _label(
    task: Task, work: Worklist, folder: OutputFolder, writer: LabelWriter, sums: Sums, scorer: Scorer | None, options: RunOptions, progress: Progress
) -> bool:
    """Label what is to do; whether Ctrl-C ended it early."""
    plan = folder.state.plan
    with ExitStack() as stack:
        stop = stack.enter_context(_stop_on_interrupt())
        manifest = stack.enter_context(folder.manifest.writer(work.done.lines))
        lines = Lines(manifest, *(stack.enter_context(LineWriter(path)) for path in (folder.times, folder.truth)))
        recorder = Recorder(folder, writer, lines, sums, scorer, work.done.lines, options.only_unsure)
        behind = stack.enter_context(WriterThread(progress, folder.path))
        for window in decoded_windows(task, work.windows(plan.window), options.decoding_threads()):
            for answer in answers(task, window, plan, work.wanted, folder.save):
                if isinstance(answer, Failed):
                    behind.submit(recorder.failed, answer.item, answer.error)
                else:
                    behind.submit(recorder.predicted, answer.items, answer.seconds)
                if stop.asked:
                    return True
            behind.submit(recorder.sync)
    return False


def _adapted(task: Task, folder: OutputFolder, names: Iterable[str], root: Path, by: str) -> Task:
    """The task fitted to the images, whatever share of them is labelled here; to those that the run began with, where it goes on."""
    if by == OFF:
        return task
    begun = folder.list_path(1)
    drawn = drawn_names(NameFile([begun]) if begun.exists() else names, MOST)
    return task.adapt(ImageList(drawn, root, f"{len(drawn)} images"), by)


def _counted(now: CacheCounts | None, before: CacheCounts | None) -> CacheCounts | None:
    return None if now is None or before is None else now.since(before)


def _share(names: Sequence[str], folder: OutputFolder, shard: Shard | None) -> tuple[Sequence[str], list[int]]:
    """The names of a list that this run is to label, and the images of each part of them, across which no window goes."""
    parts = [part["images"] for part in folder.state.parts]
    if shard is None:
        return names, parts
    spans = spans_of(shard, names, parts, folder.state.plan.window)
    return Spans(names, spans), [len(span) for span in spans]


@dataclass(frozen=True)
class _Outside:
    """Names that do not begin with a folder, read as often as they are asked for."""

    names: Sequence[str]
    folder: str

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.names if not name.startswith(self.folder))


def _outside(images: ImageList, out: Path) -> Iterable[str]:
    """The names of the images without those below `out`: labels of an earlier run are not images."""
    root, target = images.root.resolve(), out.resolve()
    if root == target:
        raise OutputError(
            "the images are in this folder themselves", where=str(out), remedy="Choose another folder with --out, for example a new one beside the images"
        )
    inside = target.is_relative_to(root)
    names: Iterable[str] = _Outside(images.names, f"{target.relative_to(root).as_posix()}/") if inside else images.names
    if next(iter(names), None) is None:
        raise InputError("there are no images to label", where=str(images.root), remedy="Check the path and the split")
    return names


def _scorer(task: Task, truth: Truth | None) -> Scorer | None:
    if truth is None:
        return None
    scorer = Scorer(truth, task.classes, task.targets, task.keypoints, SupportMean.of(task.support))
    if scorer.empty:
        known = ", ".join([*truth.classes.names.values(), *truth.targets, *truth.keypoints]) or "nothing"
        what = f"it has no class, target or keypoint in common with the task; it knows {known}"
        raise InputError(what, where=truth.sentence, remedy="Name them alike in both")
    return scorer


@contextmanager
def _stop_on_interrupt() -> Iterator[_Stop]:
    """A note that Ctrl-C was pressed, instead of the exception; pressed twice it interrupts at once. Only the main thread can have it."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.asked:
            raise KeyboardInterrupt("stopped at once. Go on with --resume")
        stop.asked = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
