"""The part of docs/benchmarks.md on accuracy: presets, differences to other methods with intervals, a table a number of shots, depth."""

from __future__ import annotations

import statistics
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from bootstrap import Array, Interval, differences, interval
from common import BENCH, FRAMES, SHOTS, read_json
from results import OURS, WORDS, Draws, common_draws, load, mean, sides, spread

PRESETS = ("default", "fast", "best")
INTRO = """\
`python benchmarks/accuracy.py` runs `score.py` unchanged for every method. A figure is the mean over the fixed draws of the
support, ± their standard deviation; `draws` says how many there are, and a cell with another number says so itself
(`best` runs on first draws). An empty cell was not measured. Other methods run at 448 and at the working size that `analogy`
chose for the same support; the better of the two is shown, with its working size. Bold: the best of the row.

Differences are ours (`default`) less theirs on the same queries of the same draws, with the 95 % interval of a paired bootstrap over
images (1,000 resamples); **bold** where the whole interval is above 0, which alone is called better here, and in italics
where it is below. The intervals are over the images that are labelled, not over the choice of the examples."""


def accuracy() -> list[str]:
    """All of it, or nothing where nothing was measured."""
    rows = load()
    if not rows.found:
        return []
    lines = ["## Accuracy", "", INTRO, "", *presets(), *standing()]
    for shots in SHOTS:
        names = [name for wanted, name in rows.pairs if wanted == shots]
        if names:
            lines += ["", f"### {WORDS[shots].capitalize()}", "", *_table(shots, names)]
    return [*lines, "", *depth(), *_memory(), ""]


def presets() -> list[str]:
    """A row a preset: its mean mIoU on what it was measured on, that of the default there, seconds to learn and to label."""
    rows = load()
    means = {}
    for preset in PRESETS:
        pairs = [pair for pair in rows.pairs if all(0 in rows.of(f"analogy-{name}", *pair) for name in (preset, "default"))]
        own, usual = ([rows.of(f"analogy-{name}", *pair)[0]["miou"] for pair in pairs] for name in (preset, "default"))
        means[preset] = [f"{statistics.mean(own):.1f}", f"{statistics.mean(usual):.1f}", str(len(pairs))] if pairs else ["", "", "0"]
    profiles: list[dict[str, Any]] = (read_json(BENCH / "speed.json") or {}).get("presets", [])
    sets = list(dict.fromkeys(profile["set"] for profile in profiles))
    head = ["preset", "mIoU, first draws", "of `default` there", "(set, shots)", *(f"{name}: seconds to learn / an image" for name in sets)]
    lines = ["### Presets", "", *_rows([head])]
    for preset in PRESETS:
        own = {profile["set"]: profile for profile in profiles if profile["preset"] == preset}
        seconds = [f"{own[name]['learn']['seconds']:.1f} / {own[name]['query']['seconds']:.2f}" if name in own else "" for name in sets]
        lines += _rows([[f"`{preset}`", *means[preset], *seconds]], head=False)
    words = "Seconds are wall clock from five images on disk and the backbone included, as under Speed; both columns are empty where they were not measured."
    return [*lines, "", words, ""]


def standing() -> list[str]:
    """How `default` stands to each other method: counts over (set, shots), and the mean difference over sets by shots."""
    rows = load()
    asked = [shots for shots in SHOTS if any(shots == wanted for wanted, _ in rows.pairs)]
    head = ["`default` less", "(set, shots)", "not below", "better", "worse", *(f"mean of sets, {shots}" for shots in asked)]
    lines = ["### Against other methods", "", *_rows([head])]
    for baseline in rows.baselines:
        found = {pair: drawn for pair in rows.pairs if (drawn := _against(baseline, *pair)) is not None}
        each = [interval(drawn) for drawn in found.values()]
        counts = [len(each), sum(one.value >= 0 for one in each), sum(one.above for one in each), sum(one.below for one in each)]
        by_shots = [_mean_of([drawn for (wanted, _), drawn in found.items() if wanted == shots]) for shots in asked]
        lines += _rows([[baseline.removesuffix("-default"), *map(str, counts), *by_shots]], head=False)
    fronts = [(mean(ours), mean(best[1])) for pair in rows.pairs if (ours := rows.of(OURS, *pair)) and (best := rows.best_baseline(*pair))]
    ahead = sum(ours >= theirs for ours, theirs in fronts)
    return [*lines, "", f"`default` is not below any other method on {ahead} of {len(fronts)} (set, shots).", ""]


def depth() -> list[str]:
    """Depth from 1, 3 and 6 frames of one scene."""
    rows = load()
    found = {(variant, shots): draws for (variant, shots, _), draws in rows.found.items() if all("abs_rel" in row for row in draws.values())}
    if not found:
        return []
    variants = sorted({variant for variant, _ in found}, key=lambda variant: (not variant.startswith("analogy"), variant))
    lines = ["### Depth", "", "`rgbd`, absolute relative error / share of pixels within a factor of 1.25, 20 queries, one draw. Examples and queries are"]
    lines += [
        "frames of one scene, so this says nothing of other rooms.",
        "",
        *_rows([["method", *(f"{frames} frame{'s' * (frames != '1')}" for frames in FRAMES)]]),
    ]
    for variant in variants:
        cells = [f"{mean(draws, 'abs_rel'):.3f} / {mean(draws, 'delta_1.25'):.3f}" if (draws := found.get((variant, frames))) else "" for frames in FRAMES]
        lines += _rows([[variant, *cells]], head=False)
    return [*lines, ""]


def _table(shots: str, names: Sequence[str]) -> list[str]:
    rows = load()
    head = ["set (mIoU, %)", "draws", "analogy", *(f"`{preset}`" for preset in PRESETS[1:]), *(b.removesuffix("-default") for b in rows.baselines)]
    lines, columns = _rows([[*head, "less the best other"]]), []
    for name in names:
        ours = [rows.of(f"analogy-{preset}", shots, name) for preset in PRESETS]
        others = [rows.best_variant(baseline, shots, name) for baseline in rows.baselines]
        count = len(ours[0]) or max(len(draws) for draws in others + ours)
        full = [mean(draws) for draws in [*ours, *others] if len(draws) == count]
        cells = [_cell(draws, count, max(full)) for draws in ours]
        cells += [_cell(draws, count, max(full)) + (f" at {sides(draws)}" if draws else "") for draws in others]
        columns.append([mean(draws) if len(draws) == count else None for draws in [*ours, *others]])
        best = rows.best_baseline(shots, name)
        drawn = _against(best[0], shots, name) if best else None
        lines += _rows([[name, str(count), *cells, _signed(interval(drawn)) if drawn is not None else ""]], head=False)
    means = [
        f"{statistics.mean(known):.1f}" if len(known := [x for x in column if x is not None]) == len(names) else "" for column in zip(*columns, strict=True)
    ]
    return [*lines, *_rows([["**mean of the sets**", "", *means, ""]], head=False)]


def _cell(draws: Draws, count: int, best: float) -> str:
    if not draws:
        return ""
    text = f"{mean(draws):.1f}"
    off = spread(draws)
    words = f" ({len(draws)} of {count} draws)" if len(draws) != count else ""
    return (f"**{text}**" if mean(draws) == best and not words else text) + (f" ± {off:.1f}" if off is not None else "") + words


@cache
def _against(baseline: str, shots: str, name: str) -> Array | None:
    """Resampled differences of our default to a baseline's best variant on the draws that both have."""
    rows = load()
    ours, theirs = common_draws(rows.of(OURS, shots, name), rows.best_variant(baseline, shots, name))
    if not ours:
        return None
    seed = zlib.crc32(name.encode())  # of its own for every set, so that resamples of two sets are independent
    return differences([row["per_query"] for row in ours.values()], [row["per_query"] for row in theirs.values()], seed=seed)


def _mean_of(drawn: Sequence[Array]) -> str:
    """The mean over sets, whose resamples are independent of each other."""
    return f"{_signed(interval(np.mean(drawn, axis=0)))}, {len(drawn)} sets" if drawn else ""


def _signed(found: Interval) -> str:
    mark = "**" if found.above else "*" if found.below else ""
    return f"{mark}{found.value:+.1f}{mark} [{found.low:+.1f}, {found.high:+.1f}]"


def _memory() -> list[str]:
    rows = load()
    variants = sorted({variant for variant, _, _ in rows.found})
    peaks = {variant: max(row["peak_mb"] for key, draws in rows.found.items() if key[0] == variant for row in draws.values()) for variant in variants}
    return [f"Largest resident memory while a row was made, MB: {', '.join(f'{variant} {peak:.0f}' for variant, peak in peaks.items())}."]


def _rows(rows: Sequence[Sequence[str]], head: bool = True) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [*lines, "|" + "---|" * len(rows[0])] if head else lines
