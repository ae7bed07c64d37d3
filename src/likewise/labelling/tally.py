"""What a manifest says in sum: one pass over its lines, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from likewise.labelling.sample import Sample

BINS = 20  # of the histogram of confidences
ROWS = 5_000  # images that a report lists; beyond, it lists a sample


@dataclass
class Tally:
    """Counts over the images of a run, and the lines of those that a report lists.

    classes: {class: images that show it}; objects: {class: how many}, where they are told apart; decided: {class: images to be looked at for it};
    confidences: images in each of 20 bins of 0..1; absent: images that show no class; rows: lines of the manifest by image without what was measured,
    all of them up to 5,000, else a sample.
    """

    images: int = 0
    labelled: int = 0
    sure: int = 0
    failed: int = 0
    absent: int = 0
    kept: list[str] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=dict)
    confidences: list[int] = field(default_factory=lambda: [0] * BINS)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _sample: Sample = field(default_factory=lambda: Sample(ROWS // 2, ROWS - ROWS // 2))

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one line of the manifest."""
        self.images += 1
        self.failed += "error" in record
        self.sure += bool(record.get("sure"))
        self.labelled += "error" not in record and not record.get("sure")
        self.kept += record.get("kept", [])
        present = record.get("present", {})
        for counts, named in ((self.classes, present), (self.decided, record.get("decided", ()))):
            for name in named:
                counts[name] = counts.get(name, 0) + 1
        for name, listed in record.get("objects", {}).items():
            self.objects[name] = self.objects.get(name, 0) + len(listed)
        self.absent += "present" in record and not present
        confidence = record.get("confidence")
        if confidence is not None:
            self.confidences[min(int(confidence * BINS), BINS - 1)] += 1
        name = record["image"]
        self.rows[name] = {key: value for key, value in record.items() if key not in ("measured", "objects")}  # hundreds of numbers an image
        dropped = self._sample.offer(name, -1.0 if confidence is None else confidence)  # failed images come first
        if dropped is not None:
            del self.rows[dropped]

    def listed(self) -> list[dict[str, Any]]:
        """The lines of the images to list, failed ones first, then least certain first."""
        return [self.rows[name] for name in self._sample]


def added_times(lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds by stage, added up over the lines of times.jsonl."""
    total: dict[str, float] = {}
    for line in lines:
        for stage, seconds in line["seconds"].items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total
