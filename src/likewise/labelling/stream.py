"""From a list of images to predictions: decoding ahead in threads, batches by the plan, halved when memory runs out."""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from likewise.backbones import StageTimes, is_out_of_memory
from likewise.data import Prediction
from likewise.errors import ImageError, InputError, LikewiseError, OutputError
from likewise.labelling.plan import BatchPlan, groups
from likewise.labelling.progress import Progress
from likewise.labelling.recorder import Item

if TYPE_CHECKING:
    from likewise.backbones import Prepared
    from likewise.task import Task

WINDOWS_AHEAD = 1  # decoded while the network works; their pixels at the working size are all that is held
UNWRITTEN = 2  # batches of predictions that may wait for the thread that writes


@dataclass(frozen=True)
class Decoded:
    """What became of an image: its pixels at the working size or the reason why not, and the seconds it took."""

    item: Item
    result: Prepared | LikewiseError
    seconds: float


@dataclass(frozen=True)
class Predicted:
    """The answers for a batch, and the seconds spent on it by stage."""

    items: Sequence[tuple[Item, Prepared, Prediction]]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Failed:
    """An image that cannot be labelled, and why."""

    item: Item
    error: LikewiseError


def decoded_windows(task: Task, windows: Iterable[list[Item]], threads: int) -> Iterator[list[Decoded]]:
    """The windows with their images decoded, in order; one window is decoded ahead."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    waiting: deque[list[Future[Decoded]]] = deque()
    try:
        for window in windows:
            waiting.append([pool.submit(copy_context().run, _decode, task, item) for item in window])
            if len(waiting) > WINDOWS_AHEAD:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def answers(task: Task, window: Sequence[Decoded], plan: BatchPlan, wanted: Callable[[Item], bool], halved: Callable[[], None]) -> Iterator[Predicted | Failed]:
    """What the task says of each wanted image of a window, batch after batch as planned.

    A batch with no wanted image is passed over, one with some is predicted whole. When memory runs out, the plan is
    halved from that batch on, `halved` is called, and the batch is tried again; a single image that is too large
    fails.
    """
    yield from (Failed(decoded.item, decoded.result) for decoded in window if isinstance(decoded.result, LikewiseError) and wanted(decoded.item))
    position = window[0].item.position
    shapes = [None if isinstance(decoded.result, LikewiseError) else task.working_shape(decoded.result.size) for decoded in window]
    for group in groups(shapes):
        while group:
            batch = [window[place] for place in group[: plan.size_at(position)]]
            if any(wanted(decoded.item) for decoded in batch):
                answer = _answer(task, batch, wanted)
                if answer is None and plan.halve(position):
                    halved()
                    continue
                if answer is None:
                    yield Failed(
                        batch[0].item,
                        InputError("there is not enough memory to label it", where=batch[0].item.name, remedy="Use --preset fast or a smaller image"),
                    )
                else:
                    yield answer
            group, position = group[len(batch) :], position + len(batch)


class WriterThread:
    """One thread that does things in order; at most a few wait for it, and its errors come back to the caller."""

    def __init__(self, progress: Progress, out: Path) -> None:
        self._progress, self._out = progress, out
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: deque[Future[int]] = deque()

    def submit(self, call: Callable[..., int], *arguments: object) -> None:
        """Have `call(*arguments)` done; it returns the number of images that it finished. Waits while too much is waiting."""
        self._pending.append(self._pool.submit(copy_context().run, call, *arguments))
        while len(self._pending) > UNWRITTEN or (self._pending and self._pending[0].done()):
            self._collect()

    def __enter__(self) -> WriterThread:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            while self._pending and error is None:
                self._collect()
        finally:
            self._pool.shutdown(wait=True)

    def _collect(self) -> None:
        try:
            self._progress.advance(self._pending.popleft().result())
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"a file cannot be written ({reason})",
                where=str(error.filename or self._out),
                remedy="Make room or mend the permissions, then go on with --resume",
            ) from error


def _decode(task: Task, item: Item) -> Decoded:
    start = time.perf_counter()
    result: Prepared | LikewiseError
    try:
        result = task.prepare(item.path)
    except ImageError as error:
        result = error
    except MemoryError:
        result = ImageError("there is not enough memory to decode it", where=str(item.path), remedy="Save it smaller, or cut it into tiles")
    return Decoded(item, result, time.perf_counter() - start)


def _answer(task: Task, batch: Sequence[Decoded], wanted: Callable[[Item], bool]) -> Predicted | None:
    """The answers for the wanted images of a batch; None if memory ran out."""
    times = StageTimes()
    prepared = [decoded.result for decoded in batch if not isinstance(decoded.result, LikewiseError)]
    try:
        predictions = task.predict_prepared(prepared, times)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        predictions = None
    if predictions is None:  # outside of the handler, whose traceback would keep the tensors alive
        _free_memory()
        return None
    times.add("decode", sum(decoded.seconds for decoded in batch))
    items = [(decoded.item, image, prediction) for decoded, image, prediction in zip(batch, prepared, predictions, strict=True) if wanted(decoded.item)]
    return Predicted(items, times.seconds)


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
