"""The part of docs/benchmarks.md on seconds and memory: engines, a labelling run, presets by stage, a long run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import BENCH, read_json


def speed() -> list[str]:
    """Engines, a labelling run by stage, and a profile of every preset."""
    record = read_json(BENCH / "speed.json")
    if not record:
        return []
    machine = record["machine"]
    lines = ["## Speed", "", f"`python benchmarks/speed.py` on {machine['cores']} cores, {machine['instructions']}, {record['date']}."]
    if "BF16" not in machine["instructions"]:
        lines += [
            "This processor has no bfloat16 instructions, so only float32 could be measured; bfloat16 is taken",
            "by itself where the processor has them.",
        ]
    lines += ["", "| working size | engine | precision | seconds a pass | mean token cosine to torch float32 |", "|---|---|---|---|---|"]
    lines += [f"| {row['side']} | {row['engine']} | {row['precision']} | {row['seconds']:.2f} | {row['cosine']:.5f} |" for row in record["engines"]]
    for run in record["runs"]:
        lines += [
            "",
            f"`likewise label` with preset `{run['preset']}` over {run['images']} photographs of about 640x480 with",
            f"{run['engine']['engine']} in {run['engine']['precision']}: **{run['images_a_second']:.2f} images a second**. Everything but the backbone takes",
            f"{100 * run['share_beside_backbone']:.1f} % of its time; the whole run takes {run['ratio_to_bare_loop']:.2f} times the bare loop of the",
            f"same engine over the same arrays. Milliseconds an image by stage: {_stages(run['seconds_by_stage'])}.",
            f"Learning from three images took {run['learn_seconds']:.1f} s, the backbone's first compilation included.",
        ]
    return [*lines, "", *profile(record.get("presets", []))]


def profile(presets: list[dict[str, Any]]) -> list[str]:
    """Where the time of each preset goes, and one large picture."""
    if not presets:
        return []
    lines = [
        "### A profile of each preset",
        "",
        "Learning from five images, labelling others of the same set, and one picture of 4000x3000 (a real one, enlarged): every row",
    ]
    lines += ["in a process of its own, from files on disk, the backbone included; in brackets milliseconds by stage; MB is the largest resident"]
    lines += [
        "memory of the process.",
        "",
        "| preset | set | side | learn, s | an image, s | 4000x3000, s | MB, learn / label / 4000x3000 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in presets:
        cells = [f"{row[part]['seconds']:.2f} ({_stages(row[part]['stages'], 0)})" for part in ("learn", "query", "big")]
        memory = " / ".join(f"{row[part]['peak_mb']:.0f}" for part in ("learn", "query", "big"))
        lines.append(f"| `{row['preset']}` | {row['set']} | {row['side']} | {' | '.join(cells)} | {memory} |")
    return [*lines, ""]


def endurance(images: Path) -> list[str]:
    """A long run: memory and kills; the curve is drawn into a folder of images."""
    record = read_json(BENCH / "endurance.json")
    if not record:
        return []
    _draw_curve(record["curve"], images / "memory.svg")
    kills = ", ".join(str(place) for place in record["killed_at"])
    same = "byte-identical in manifest and labels" if record["identical"] else "NOT identical"
    memory = f"Memory after 100 images {record['mb_after_100']:.0f} MB, at most {record['mb_largest_later']:.0f} MB later."
    return [
        "## A long run",
        "",
        f"`python benchmarks/endurance.py`: {record['images']:,} photographs at a working size of {record['side']}, {record['seconds']:.0f} s.",
        f"{memory} Killed by SIGKILL after {kills} images and resumed each time: {same}",
        "to the undisturbed run.",
        "",
        "![Memory over images](images/memory.svg)",
        "",
    ]


def _stages(seconds: Mapping[str, float], digits: int = 1) -> str:
    return ", ".join(f"{stage} {1000 * value:.{digits}f}" for stage, value in seconds.items())


def _draw_curve(curve: list[dict[str, float]], path: Path) -> None:
    width, height, left, top = 640, 220, 60, 15
    images, highest = max(point["images"] for point in curve), 1.15 * max(point["mb"] for point in curve)
    spots = [(left + (width - left - 15) * p["images"] / images, top + (height - top - 35) * (1 - p["mb"] / highest)) for p in curve]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    texts = [
        (left - 8, top + 10, "end", f"{highest:.0f} MB"),
        (left - 8, height - 35, "end", "0"),
        (left, height - 15, "start", "0"),
        (width - 15, height - 15, "end", f"{images:,} images"),
    ]
    words = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    frame = f'<path d="M{left} {top} V{height - 35} H{width - 15}" fill="none" stroke="#888"/>'
    style = 'font-family="sans-serif" font-size="12" fill="#777"'
    drawn = f'<polyline points="{line}" fill="none" stroke="#0a7" stroke-width="2"/>'
    page = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>{frame}{drawn}{words}</svg>\n'
    path.write_text(page)
