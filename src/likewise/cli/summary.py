"""What a run did, printed: by `likewise label` and `likewise merge` alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from likewise.cli.printing import say
from likewise.errors import PartialFailureError

if TYPE_CHECKING:
    from likewise.labelling import RunSummary


def told(summary: RunSummary, *, profile: bool = False, as_json: bool = False) -> None:
    """Print a summary; PartialFailureError if an image failed."""
    print_json(summary.as_dict()) if as_json else _print_summary(summary, profile=profile)
    _print_notes(summary)
    if summary.failed:
        raise PartialFailureError(
            f"{summary.failed} of {summary.images} images could not be labelled", where=str(summary.manifest), remedy="Each has its reason there"
        )


def print_json(values: dict[str, Any]) -> None:
    """Print plain values."""
    print(json.dumps(values, indent=2))


def _print_summary(summary: RunSummary, *, profile: bool) -> None:
    from likewise.labelling.progress import duration

    certain = f", {summary.sure:,} left out as certain" if summary.sure else ""
    earlier = f", {summary.earlier:,} of them before" if summary.earlier else ""
    speed = f" ({summary.rate:.2f} a second)" if summary.rate else ""
    counts = f"{summary.labelled:,} labelled{certain}, {summary.failed:,} failed"
    say(f"{summary.images:,} images{earlier}: {counts}, in {duration(summary.elapsed)}{speed}")
    if summary.cache is not None:
        say(summary.cache.sentence)
    for name, count in summary.classes.items():
        objects = f", {summary.objects[name]:,} objects" if name in summary.objects else ""
        say(f"  {name}: in {count:,} images{objects}")
    for name, count in summary.decided.items():
        say(f"  {name}: look at {count:,} of {summary.images - summary.failed:,} images")
    if summary.truth is not None:
        _print_truth(summary.truth)
    if profile:
        _print_profile(summary)


def _print_truth(truth: dict[str, Any]) -> None:
    from likewise.labelling.decided_counts import told_decided
    from likewise.labelling.score_words import told_classes, told_objects, told_scores

    numbers = [("mIoU", truth["miou"]), ("presence accuracy", truth["presence_accuracy"])]
    said = [f"{name} {100 * value:.1f} %" for name, value in numbers if value is not None]
    say(", ".join([f"against the truth: {truth['images']:,} images", *said]))
    for line in [*told_classes(truth), *told_objects(truth), *told_decided(truth)]:
        say(f"  {line}")
    for name, scores in truth["classes"].items():
        if scores["iou"] is not None:
            say(f"  {name}: IoU {100 * scores['iou']:.1f} %")
    for name, scores in (truth["dense"] | truth.get("keypoints", {})).items():
        say(f"  {name}: {told_scores(scores)}")
        if name in truth.get("mean", {}):
            say(f"    the mean of the examples: {told_scores(truth['mean'][name])}")


def _print_profile(summary: RunSummary) -> None:
    from likewise.labelling import overhead

    images = max(1, summary.images - summary.failed)
    for stage, seconds in summary.seconds.items():
        say(f"  {stage:<10} {1000 * seconds / images:8.2f} ms an image")
    share = overhead(summary.seconds)
    if share is not None:
        say(f"  everything but the backbone: {100 * share:.1f} % of its time (decode, write, thumbnail and truth run beside it)")


def _print_notes(summary: RunSummary) -> None:
    for files, words in ((summary.edited, "changed by hand since they were written"), (summary.kept, "in the way")):
        if files:
            say(f"{len(files)} file(s) {words}, left alone: {', '.join(files[:5])}{', ...' if len(files) > 5 else ''}", aside=True)
    where = f"; open {summary.report} to look at them" if summary.report else ""
    say(f"labels are in {summary.out}{where}", aside=True)
