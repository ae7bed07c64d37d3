"""Shards of a list, labelled by several machines, joined to the run that one machine would have made.

The lines of every window come from the shard that it belongs to, in the order of the list; label files are linked, or copied where the file system has no
links; what is about the whole run is made anew. The shards stay as they are.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from likewise.data.images import file_digest
from likewise.errors import InputError, OutputError
from likewise.formats import open_writer
from likewise.formats.files import new_folder
from likewise.formats.name_list import NameFile
from likewise.labelling.about import About
from likewise.labelling.closing import close_run
from likewise.labelling.folder import Done, OutputFolder, RunState, differences, opened
from likewise.labelling.gallery import Gallery
from likewise.labelling.lines import LineWriter, read_lines
from likewise.labelling.options import RunSummary
from likewise.labelling.plan import BatchPlan, windows
from likewise.labelling.recorder import Sums
from likewise.labelling.report import write_report
from likewise.labelling.shards import Shard, shard_of
from likewise.labelling.tally import Tally

SHARD = "shard"  # in the fingerprint of a run over a share of its list


def merge(parts: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> RunSummary:
    """Join the runs of all shards of a list into `out`, a new folder that is there whole or not at all; it can be resumed like any run.

    Raises InputError for folders that are not, together, all shards of one list labelled alike, and for a shard that is not done or lost a file;
    OutputError for an `out` that holds something or cannot be written.
    """
    start = time.perf_counter()
    place, shards = Path(out), opened_shards([Path(part) for part in parts])
    try:
        return _merged(shards, place, start)
    except OSError as error:
        what = f"a file cannot be written ({error.strerror or error})"
        raise OutputError(what, where=str(error.filename or place), remedy="Make room or mend the permissions, and merge again: nothing was left") from error


def _merged(shards: Sequence[OutputFolder], place: Path, start: float) -> RunSummary:
    first = shards[0]
    about = About.read(first.inner)
    with new_folder(place) as draft, opened(draft) as folder:
        folder.state = _joined_state(first.state)
        for number in range(1, len(first.state.parts) + 1):
            shutil.copyfile(first.list_path(number), folder.list_path(number))
        about.write(folder.inner)
        sums, edited = _join(shards, folder)
        _join_thumbnails(shards, sums.gallery)
        writer = open_writer(folder.state.fingerprint["format"], folder.staging, about.table, {}, final=folder.path, spread=folder.state.spread)
        done = Done(sums.tally.images, frozenset(), tuple(edited))
        closed = close_run(folder, writer, about, sums.tally, done, start, report=False)
        summary = dataclasses.replace(closed, out=place, manifest=place / folder.manifest.path.name, report=place / folder.report.name)
        write_report(folder, about, sums.tally, summary)
    return summary


def opened_shards(paths: Sequence[Path]) -> list[OutputFolder]:
    """The folders of all shards of one list, in the order of their numbers, with their states. InputError as in `merge`."""
    found: dict[int, OutputFolder] = {}
    for path in paths:
        folder, shard = _opened_shard(path)
        known = next(iter(found.values()), folder)
        if len(found) and shard.of != _shard(known).of:
            raise InputError(f"it is shard {shard}, {known.path} is shard {_shard(known)}", where=str(path), remedy="Merge the shards of one list")
        if shard.number in found:
            raise InputError(f"it is shard {shard}, and so is {found[shard.number].path}", where=str(path), remedy="Give each shard once")
        _refuse_differences(known, folder)
        found[shard.number] = folder
    of = _shard(next(iter(found.values()))).of if found else 1
    missing = [f"{number}/{of}" for number in range(1, of + 1) if number not in found]
    if missing:
        told = f"shard {missing[0]} is" if len(missing) == 1 else f"shards {', '.join(missing[:10])} are"
        raise InputError(f"{told} not among the {len(found)} folders", where="PARTS", remedy="Give the folders of all shards")
    return [found[number] for number in sorted(found)]


def _opened_shard(path: Path) -> tuple[OutputFolder, Shard]:
    folder = OutputFolder(path)
    if not (path / "run.json").is_file():
        raise InputError("it holds no run", where=str(path), remedy="Give the folders that `likewise label --shard` wrote")
    folder.state = RunState.read(path / "run.json")
    if SHARD not in folder.state.fingerprint:
        raise InputError("it is a run over a whole list, not a shard", where=str(path), remedy="Give the folders that `likewise label --shard` wrote")
    if not folder.state.finished:
        raise InputError("its run is not finished", where=str(path), remedy="Go on with it by `likewise label ... --resume`")
    return folder, _shard(folder)


def _shard(folder: OutputFolder) -> Shard:
    return Shard.parse(folder.state.fingerprint[SHARD])


def _refuse_differences(known: OutputFolder, folder: OutputFolder) -> None:
    """InputError unless two shards were labelled by one task, with the same options, from the same list."""
    one, two = (_compared(each.state) for each in (known, folder))
    differing = differences(one, two)
    if differing:
        raise InputError(f"it was labelled otherwise than {known.path}: {'; '.join(differing)}", where=str(folder.path), remedy="Label all shards alike")
    if folder.state.parts != known.state.parts:
        told = f"it worked on another list of images than {known.path}"
        raise InputError(told, where=str(folder.path), remedy="Give all machines the same list: the same images under the same relative paths")


def _compared(state: RunState) -> dict[str, str]:
    return {key: value for key, value in state.fingerprint.items() if key != SHARD} | {"batch": str(state.plan.batch)}


def _joined_state(state: RunState) -> RunState:
    """The state of a run over the whole list."""
    fingerprint = {key: value for key, value in state.fingerprint.items() if key != SHARD}
    return RunState(fingerprint, BatchPlan(state.plan.batch, state.plan.window), list(state.parts), spread=state.spread)


class _Source:
    """The lines of a shard, taken one after the other."""

    def __init__(self, folder: OutputFolder) -> None:
        self.folder = folder
        self._manifest = iter(folder.manifest)
        self._truth = read_lines(folder.truth)
        self._compared = next(self._truth, None)

    def take(self, name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The line of the image that comes next, and that of its comparison with the truth."""
        record = next(self._manifest, None)
        if record is None or record.get("image") != name:
            told = "it ends too early" if record is None else f"it names {record.get('image')!r} out of order"
            raise InputError(told, where=str(self.folder.manifest.path), remedy="It was edited: label this shard into another folder")
        compared = None
        if self._compared is not None and self._compared.get("image") == name:
            compared, self._compared = self._compared, next(self._truth, None)
        return record, compared

    def end(self) -> None:
        """InputError if there are more lines."""
        if next(self._manifest, None) is not None:
            raise InputError("it has more lines than its list", where=str(self.folder.manifest.path), remedy="Label this shard into another folder")


def _join(shards: Sequence[OutputFolder], folder: OutputFolder) -> tuple[Sums, list[str]]:
    """Write the lines of all shards, and have their label files in `folder`; what was counted, and the files that were changed by hand."""
    sums, edited = Sums(Gallery(folder.thumbnails), Tally()), []
    with ExitStack() as stack:
        manifest = stack.enter_context(folder.manifest.writer(0))
        times, truth = (stack.enter_context(LineWriter(path)) for path in (folder.times, folder.truth))
        for source, name in _turns(shards, folder.listed(), folder.state):
            record, compared = source.take(name)
            for file, digest in record.get("files", {}).items():
                if not _brought(source.folder.path / file, folder.path / file, digest):
                    edited.append(file)
            if compared is not None:
                truth.write(compared)
            manifest.write(record)
            sums.recall(record)
        for line in (line for shard in shards for line in read_lines(shard.times)):
            times.write(line)
    return sums, edited


def _turns(shards: Sequence[OutputFolder], names: NameFile, state: RunState) -> Iterator[tuple[_Source, str]]:
    """Every image of the list with the shard that labelled it."""
    sources = [_Source(shard) for shard in shards]
    for span in windows([part["images"] for part in state.parts], state.plan.window):
        source = sources[shard_of(names[span.start], len(sources)) - 1]
        yield from ((source, names[position]) for position in span)
    for source in sources:
        source.end()


def _brought(source: Path, target: Path, digest: str) -> bool:
    """Have a label file at its place; whether it is as it was written."""
    try:
        same = file_digest(source) == digest
    except OSError as error:
        raise InputError("a label file is gone", where=str(source), remedy="Go on with this shard by `likewise label ... --resume`") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError as error:
        raise OutputError("two images have this file", where=str(target), remedy="Label the list anew") from error
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
    return same


def _join_thumbnails(shards: Sequence[OutputFolder], gallery: Gallery) -> None:
    """Copy the thumbnails of the images that a report shows: each stands with the shard that labelled it, whose sample was the larger one."""
    for target in map(gallery.path, gallery.sample):
        source = next((path for shard in shards if (path := shard.thumbnails / target.name).exists()), None)
        if source is not None:
            shutil.copyfile(source, target)
