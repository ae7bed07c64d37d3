"""The report of a run: one HTML file that opens from disk, with everything inside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2

from likewise.data import ClassTable
from likewise.data.prediction import class_colour
from likewise.labelling.about import About, data_uri
from likewise.labelling.decided_counts import told_decided
from likewise.labelling.folder import OutputFolder
from likewise.labelling.gallery import Gallery
from likewise.labelling.lines import write_atomically
from likewise.labelling.options import RunSummary, overhead
from likewise.labelling.preview import score_warnings
from likewise.labelling.score_words import told_classes, told_objects, told_scores
from likewise.labelling.tally import BINS, Tally

CLASSES_SHOWN = 30  # bars of the histogram
STAGES = ("decode", "cache", "backbone", "method", "refine", "write", "thumbnail", "truth")


def write_report(folder: OutputFolder, about: About, tally: Tally, summary: RunSummary) -> None:
    """Write OUT/report.html; an earlier report of the same run is replaced."""
    write_atomically(folder.report, render(folder, about, tally, summary).encode("utf-8", "replace"))


def render(folder: OutputFolder, about: About, tally: Tally, summary: RunSummary) -> str:
    """The text of the report. Everything that comes from files or people is escaped by the template."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("report.html.jinja").read_text("utf-8"))
    classes = about.table
    cards = _cards(tally, Gallery(folder.thumbnails), classes)
    return template.render(
        summary=summary,
        tally=tally,
        facts=_facts(about, folder.state.fingerprint),
        chosen=about.chosen,
        warnings=score_warnings(about.left_out),
        legend=[{"number": number, "name": classes[number], "colour": colour(classes, number)} for number in classes],
        support=about.support,
        support_hidden=about.pictures - len(about.support),
        class_bars=_class_bars(summary.classes),
        classes_hidden=max(0, len(summary.classes) - CLASSES_SHOWN),
        confidence_bars=_confidence_bars(tally.confidences),
        highest=max(tally.confidences),
        stages=_stages(summary),
        rate=summary.rate,
        overhead=overhead(summary.seconds),
        truth_rows=_truth_rows(summary.truth, about.units),
        left_out=[_left_out_row(name, score) for name, score in about.left_out.items()],
        cards=cards,
        whole=about.whole,
        decides=about.decides,
        pictured=sum(card["source"] is not None for card in cards),
        dense_shown="" if classes.names else next(iter(about.units), ""),
    )


def colour(classes: ClassTable, number: int) -> str:
    """The colour of a class as in overlays and palettes, for CSS."""
    red, green, blue = class_colour(classes, number)
    return f"rgb({red} {green} {blue})"


def _cards(tally: Tally, gallery: Gallery, classes: ClassTable) -> list[dict[str, Any]]:
    colours = {classes[number]: colour(classes, number) for number in classes}
    cards = []
    for record in tally.listed():
        present = record.get("present", {})
        path = gallery.path(record["image"])
        tags = [{"name": name, "colour": colours[name], "probability": "" if p is None else f"{p:.2f}"} for name, p in present.items()]
        cards.append(
            {
                "name": record["image"],
                "confidence": record.get("confidence"),
                "error": f"{record['error']['what']}. {record['error']['remedy']}" if "error" in record else "",
                "tags": tags,
                "numbers": [classes.number(name) for name in present],
                "looked": [classes.number(name) for name in record.get("decided", {})],
                "source": data_uri(path.read_bytes()) if path.exists() else None,
            }
        )
    return cards


def _facts(about: About, fingerprint: Mapping[str, str]) -> dict[str, Any]:
    rows = [("method", about.method), ("settings", json.dumps(about.settings))]
    rows += [(f"weights ({role})", f"{weights['name']}, sha256 {weights['sha256'][:16]}") for role, weights in about.weights.items()]
    rows += [(name.replace("_", " "), value[:16] if name == "task" else value) for name, value in fingerprint.items() if not name.startswith("weights")]
    return {"method": about.method, "examples": about.examples, "rows": rows}


def _class_bars(classes: Mapping[str, int]) -> list[dict[str, Any]]:
    commonest = sorted(classes.items(), key=lambda pair: (-pair[1], pair[0]))[:CLASSES_SHOWN]
    highest = max((count for _, count in commonest), default=1)
    return [
        {"label": name if len(name) <= 18 else f"{name[:17]}\u2026", "count": count, "length": round(160 * count / highest, 1)} for name, count in commonest
    ]


def _confidence_bars(counts: list[int]) -> list[dict[str, Any]]:
    highest = max(1, *counts)
    return [
        {"label": f"{place / BINS:.2f} to {(place + 1) / BINS:.2f}", "count": count, "height": round(118 * count / highest, 1)}
        for place, count in enumerate(counts)
    ]


def _stages(summary: RunSummary) -> list[dict[str, Any]]:
    """Milliseconds an image by stage, in the order in which an image passes them."""
    images, total = max(1, summary.images - summary.failed), sum(summary.seconds.values()) or 1.0
    names = [name for name in STAGES if name in summary.seconds] + sorted(set(summary.seconds) - set(STAGES))
    return [{"name": name, "each": 1000 * summary.seconds[name] / images, "share": 100 * summary.seconds[name] / total} for name in names]


def _truth_rows(truth: Mapping[str, Any] | None, units: Mapping[str, str]) -> dict[str, Any] | None:
    if truth is None:
        return None
    classes = [{"name": name, "iou": _percent(scores["iou"]), "presence": _percent(scores["presence_accuracy"])} for name, scores in truth["classes"].items()]
    dense = []
    for name, scores in (truth["dense"] | truth.get("keypoints", {})).items():
        unit = f" ({units[name]})" if units.get(name) else ""
        mean = truth.get("mean", {}).get(name)
        dense.append({"name": name + unit, "scores": told_scores(scores), "mean": told_scores(mean) if mean else ""})
    return {"classes": classes, "dense": dense, "whole": [*told_classes(truth), *told_objects(truth), *told_decided(truth)]}


def _left_out_row(name: str, score: Mapping[str, Any]) -> dict[str, str]:
    whole = "accuracy" in score
    told = f"right {_percent(score.get('accuracy')) or 'unknown'}" if whole else f"IoU {_percent(score.get('iou')) or 'unknown'}"
    value = told if whole or "iou" in score else f"relative error {_percent(score.get('error')) or 'unknown'}"
    parts = "parts of " if score.get("by") == "blocks" else ""
    by = f"{parts}{score['images']} image{'' if score['images'] == 1 else 's'}" if "images" in score else ""
    return {"name": name, "score": value, "by": by}


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
