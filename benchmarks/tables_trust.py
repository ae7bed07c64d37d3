"""The part of docs/benchmarks.md on what can be believed: absence, confidence, and the choice among read-outs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from answers import OVERLAPS, STRANGERS
from common import BENCH, read_json
from results import WORDS

SUPPORT = {"all": "all", "with": "with negatives", "without": "without negatives"}
ABSENCE = """\
`python benchmarks/absence.py` reads what the answers of `accuracy.py` (first {draws} draw(s) of the split and of one, two and five images a
class) said of each class: is it in the image? *own*: the queries of the set, with and without the class. *other*: its own
queries with the class against {strangers} images of every other set that cannot hold it. Only classes that the support shows are
asked for; a support has negatives for a class if one of its images is without it. ECE: expected calibration error in 15
bins; balanced: every class of every set has the same weight. In brackets 95 % intervals, whole images resampled.

Left out as *other*, because a class may occur: {overlaps}."""
RISK = """\
`python benchmarks/riskcoverage.py`: the error of an image is 1 less the mean IoU of the classes in its truth or answer, which is also
what the confidence estimates; risk is the mean error of the images that are labelled when the least sure are left out. AURC is
the mean risk over all coverages, beside that of a perfect order and of a random one; gained: the share of what lies between."""
HINDSIGHT = """\
`python benchmarks/hindsight.py`: `default` as it chooses left-out on the support, against each read-out that it chooses from alone (the
convolutional one is of the preset `best` only), first draws, mIoU in percent. A mean of read-outs can be better than each of them, so more than
everything can be recovered. Over rows as sums: (chosen - worst) / (best - worst) = {worst}; from `tokens` on: {coarse}; {count} rows."""


def absence() -> list[str]:
    """Presence: pooled rows by preset, then our default by set and by shots, then clean pictures."""
    record = read_json(BENCH / "absence.json")
    if not record or not record["table"]:
        return []
    overlaps = "; ".join(f"{name} asked of {', '.join(sorted(others))}" for name, others in OVERLAPS.items())
    text = ABSENCE.format(draws=record["draws"], strangers=STRANGERS, overlaps=overlaps)
    head = ["preset", "images", "support", "sets", "present", "absent", "AUROC", "ECE", "ECE, balanced"]
    lines = ["## Absence", "", text, "", *_head(head)]
    table = record["table"]
    pooled = [row for row in table if row["shots"] == "all" and row["set"] is None]
    lines += [_line([f"`{row['preset']}`", row["images"], SUPPORT[row["support"]], *_figures(row)]) for row in pooled]
    lines += ["", "`default` by set, all numbers of shots:", "", *_head(["set", "images", *head[4:]])]
    by_set = [row for row in table if row["preset"] == "default" and row["shots"] == "all" and row["set"]]
    lines += [_line([row["set"], row["images"], *_figures(row)[1:]]) for row in by_set]
    lines += ["", "`default` by shots, all sets and supports:", "", *_head(["shots", "images", *head[3:]])]
    by_shots = [row for row in table if row["preset"] == "default" and row["shots"] != "all" and row["set"] is None and row["support"] == "all"]
    lines += [_line([WORDS[row["shots"]], row["images"], *_figures(row)]) for row in by_shots]
    return [*lines, "", *_clean(record["clean"])]


def confidence() -> list[str]:
    """Risk and coverage pooled over queries, what a confidence stands for, and by set."""
    record = read_json(BENCH / "riskcoverage.json")
    if not record or not record["pooled"]:
        return []
    table = record["table"]
    lines = ["## Confidence", "", RISK, "", *_head(["preset, pooled", "queries", "AURC", "perfect", "random", "gained", "calibration error"])]
    lines += [_line([f"`{row['preset']}`", str(row["queries"]), *_curve(row), f"{row['calibration_error']:.3f}"]) for row in record["pooled"]]
    lines.append("")
    for row in record["pooled"]:
        own = [found for found in table if found["preset"] == row["preset"]]
        halved, could = (sum(found[key] for found in own) for key in ("halved", "could_halve"))
        lines.append(
            f"Under `{row['preset']}` the surest half at least halves the error on {halved} of {len(own)} (set, shots); a perfect order does on {could}."
        )
    lines += ["", "What a confidence stands for:", "", *_head(["preset", "confidence from", "answers", "mean confidence", "mean IoU"])]
    for row in record["pooled"]:
        for part in row["reliability"]:
            lines.append(_line([f"`{row['preset']}`", f"{part['from']:.1f}", str(part["count"]), f"{part['said']:.2f}", f"{part['measured']:.2f}"]))
    lines += ["", *_head(["`default`: set", "shots", "draws", "risk, all", "surest half", "perfect half", "AURC", "perfect", "random", "gained"])]
    for row in table:
        if row["preset"] == "default":
            halves = [f"{row[key]:.3f}" for key in ("risk", "risk_half", "risk_half_perfect")]
            lines.append(_line([row["set"], row["shots"], str(row["draws"]), *halves, *_curve(row)]))
    return [*lines, ""]


def hindsight() -> list[str]:
    """The left-out choice against the best read-out known afterwards."""
    record = read_json(BENCH / "hindsight.json")
    if not record or not record["rows"]:
        return []
    rows = record["rows"]
    names = list(rows[0]["alone"])
    text = HINDSIGHT.format(worst=_percent(record["over_worst"]), coarse=_percent(record["over_coarse"]), count=len(rows))
    lines = [
        "## The choice among read-outs",
        "",
        text,
        "",
        *_head(["set", "shots", *(f"`{name}`" for name in names), "chosen", "best alone", "what was chosen"]),
    ]
    for row in rows:
        scores = [f"{row['alone'][name]:.1f}" for name in names]
        best = max(row["alone"], key=lambda name: row["alone"][name])
        lines.append(_line([row["set"], row["shots"], *scores, f"{row['chosen']:.1f}", f"{best}, {row['alone'][best]:.1f}", _mix(row["choice"])]))
    return [*lines, ""]


def _clean(counts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Clean tiles and pictures without a building, at the default threshold, added up over draws."""
    if not counts:
        return []
    lines = ["At the default threshold of 0.5: pictures without anything in which no class is called present, and classes in pictures that"]
    lines += ["show them which are.", "", *_head(["preset", "set", "shots", "clean called clean", "shown found"])]
    totals: dict[tuple[str, str, str], list[int]] = {}
    for row in counts:
        total = totals.setdefault((row["preset"], row["set"], row["shots"]), [0, 0, 0, 0])
        for place, key in enumerate(("called_clean", "clean", "found", "shown")):
            total[place] += row[key]
    lines += [_line([f"`{preset}`", name, shots, f"{t[0]} of {t[1]}", f"{t[2]} of {t[3]}"]) for (preset, name, shots), t in sorted(totals.items())]
    return [*lines, ""]


def _figures(row: Mapping[str, Any]) -> list[str]:
    return [str(row["sets"]), str(row["present"]), str(row["absent"]), *(_interval(row[key]) for key in ("auroc", "ece", "ece_balanced"))]


def _interval(found: Sequence[float] | None) -> str:
    return f"{found[0]:.3f} [{found[1]:.3f}, {found[2]:.3f}]" if found else ""


def _curve(row: Mapping[str, Any]) -> list[str]:
    """AURC, that of a perfect and of a random order, and the share of the gain between them."""
    return [*(f"{row[key]:.3f}" for key in ("aurc", "aurc_perfect", "aurc_random")), _percent(row["gained"])]


def _percent(share: float | None) -> str:
    return "no gain to recover" if share is None else f"{100 * share:.0f} %"


def _mix(choice: Sequence[Mapping[str, Any]] | None) -> str:
    return ", ".join(f"{part['readout']} {part['weight']:.2f}" for part in choice or () if part["weight"])


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), "|" + "---|" * len(cells)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
