"""The end of a run: what is about all of its images, counted and written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.formats import LabelWriter
from likewise.labelling.about import About
from likewise.labelling.folder import Done, OutputFolder
from likewise.labelling.lines import read_lines
from likewise.labelling.measuring import PixelSize, write_tables
from likewise.labelling.options import PIXEL_SIZE, RunSummary
from likewise.labelling.report import write_report
from likewise.labelling.scoring import ScoreTotals
from likewise.labelling.tally import Tally, added_times

if TYPE_CHECKING:
    from likewise.backbones import CacheCounts


def close_run(
    folder: OutputFolder, writer: LabelWriter, about: About, tally: Tally, done: Done, start: float, *, report: bool, cache: CacheCounts | None = None
) -> RunSummary:
    """Write the files of the whole run, and say what was done.

    tally: of all lines of the manifest; start: by `time.perf_counter`; cache: features that the run read and made.
    """
    finals = writer.finish(folder.manifest)
    if about.classes and not about.whole:
        asked = folder.state.fingerprint.get(PIXEL_SIZE)
        finals += write_tables(folder.manifest, folder.staging, about.table, None if asked is None else PixelSize.parse(asked), decides=about.decides)
    in_the_way = [path.as_posix() for path in finals if not folder.commit_final(path)]
    folder.state.finished = True
    folder.save()
    totals = ScoreTotals()
    for record in read_lines(folder.truth):
        totals.add(record)
    summary = RunSummary(
        out=folder.path,
        images=tally.images,
        labelled=tally.labelled,
        sure=tally.sure,
        failed=tally.failed,
        earlier=done.lines,
        edited=done.edited,
        kept=(*tally.kept, *in_the_way),
        classes={name: tally.classes[name] for name in sorted(tally.classes)},
        objects={name: tally.objects[name] for name in sorted(tally.objects)},
        decided={name: tally.decided.get(name, 0) for name in sorted(about.classes.values())} if about.decides else {},
        seconds=added_times(read_lines(folder.times)),
        elapsed=time.perf_counter() - start,
        batch=folder.state.plan.size_at(tally.images),
        manifest=folder.manifest.path,
        files=tuple(path.as_posix() for path in finals if path.as_posix() not in in_the_way),
        truth=totals.scores(),
        report=folder.report if report else None,
        cache=cache,
    )
    if report:
        write_report(folder, about, tally, summary)
    return summary
