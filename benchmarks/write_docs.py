"""Writes docs/benchmarks.md, and the picture of the memory curve, from what stands in bench/.

python benchmarks/write_docs.py
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BENCH, DOCS = ROOT / "bench", ROOT / "docs"
COLUMNS = ("analogy-default", "analogy-fast", "ridge-default", "prototype-default", "nearest-default", "attention-default")
HEADS = ("analogy", "analogy `fast`", "ridge", "prototype", "nearest", "attention")

HEAD = """\
# Benchmarks

Written by `make bench` from its own results; every figure was measured, with the command above its table. The sets are
those of `../shared/data` (research sets that are not part of this repository), the arithmetic is that of
`../shared/tools/score.py`: mIoU in percent over the classes without the background, counts pooled over the queries.

No method here was trained. {weights}

Read with care: the working sizes, strengths and presence rule of `analogy` were chosen while looking at these sets and
draws, while the baselines were not tuned, so the tables flatter it; only sets that nobody here has seen can tell by how much.
"""


def accuracy() -> list[str]:
    """A table a number of shots: mean and standard deviation over the five fixed draws."""
    records = {path.stem: json.loads(path.read_text()) for path in sorted((BENCH / "accuracy").glob("*.json"))}
    lines = ["## Accuracy", "", "`python benchmarks/accuracy.py` runs `score.py` unchanged for every method. Bold: the best of the row."]
    lines += ["An empty cell was not measured. `analogy` stands for its preset `default` (working size chosen from 448 and 896)."]
    lines += ["In the draws of `subjects` three of its eight classes have no example, and count as 0 for everybody."]
    for shots, words in (
        ("split", "The support of each set's own split"),
        ("1", "One image a class"),
        ("2", "Two images a class"),
        ("5", "Five images a class"),
    ):
        found = {column: records.get(f"{column}-{shots}") for column in COLUMNS}
        if any(found.values()):
            lines += ["", f"### {words}", "", *_table(found, shots)]
    memory = [
        f"{column.rpartition('-')[0]} {max(r['peak_mb'] for name, r in records.items() if name.startswith(column)):.0f}"
        for column in COLUMNS
        if any(name.startswith(column) for name in records)
    ]
    return [*lines, "", f"Largest resident memory of a `score.py` process, MB: {', '.join(memory)}.", ""]


def _table(found: dict[str, dict[str, Any] | None], shots: str) -> list[str]:
    names = sorted({name for record in found.values() if record for name in record["rows"]})
    semantic = [name for name in names if any("miou" in record["rows"].get(name, {}) for record in found.values() if record)]
    lines = ["| set (mIoU, %) | " + " | ".join(HEADS) + " |", "|---|" + "---|" * len(HEADS)]
    for name in semantic:
        rows = [record["rows"].get(name) if record else None for record in found.values()]
        best = max(row["miou"] for row in rows if row)
        lines.append(f"| {name} | " + " | ".join(_cell(row, best) for row in rows) + " |")
    full = [record for record in found.values() if record and all(name in record["rows"] for name in semantic)]
    means = [f"{statistics.mean(record['rows'][name]['miou'] for name in semantic):.1f}" if record in full else "" for record in found.values()]
    lines.append("| **mean of the sets** | " + " | ".join(means) + " |")
    beaten = [name for name in semantic if not _leads(found, name)]
    if beaten:
        lines += ["", f"`analogy` is not the best, under either preset, on {', '.join(beaten)}."]
    dense = [name for name in names if name not in semantic]
    for name in dense:
        rows = [record["rows"].get(name) if record else None for record in found.values()]
        frames = "6 frames" if shots == "split" else f"{shots} frames"
        lines += ["", f"| {name}, {frames} | " + " | ".join(HEADS) + " |", "|---|" + "---|" * len(HEADS)]
        lines.append("| absolute relative error | " + " | ".join(f"{row['abs_rel']:.3f}" if row else "" for row in rows) + " |")
        lines.append("| within a factor of 1.25 | " + " | ".join(f"{row['delta_1.25']:.3f}" if row else "" for row in rows) + " |")
    return lines


def _leads(found: dict[str, dict[str, Any] | None], name: str) -> bool:
    """Whether a preset of `analogy` has the best figure on a set."""
    scores = {column: record["rows"][name]["miou"] for column, record in found.items() if record and name in record["rows"]}
    return max(scores, key=lambda column: scores[column]).startswith("analogy")


def _cell(row: dict[str, Any] | None, best: float) -> str:
    if not row:
        return ""
    spread = f" ± {row['miou_sd']:.1f}" if "miou_sd" in row else ""
    text = f"{row['miou']:.1f}"
    return (f"**{text}**" if row["miou"] == best else text) + spread


def speed() -> list[str]:
    """Engines, and a labelling run by stage."""
    path = BENCH / "speed.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text())
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
        stages = ", ".join(f"{stage} {1000 * seconds:.1f}" for stage, seconds in run["seconds_by_stage"].items())
        lines += [
            "",
            f"`likewise label` with preset `{run['preset']}` over {run['images']} photographs of about 640x480 with",
            f"{run['engine']['engine']} in {run['engine']['precision']}: **{run['images_a_second']:.2f} images a second**. Everything but the backbone takes",
            f"{100 * run['share_beside_backbone']:.1f} % of its time; the whole run takes {run['ratio_to_bare_loop']:.2f} times the bare loop of the",
            f"same engine over the same arrays. Milliseconds an image by stage: {stages}.",
            f"Learning from three images took {run['learn_seconds']:.1f} s, the backbone's first compilation included.",
        ]
    return [*lines, ""]


def endurance() -> list[str]:
    """A long run: memory and kills."""
    path = BENCH / "endurance.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text())
    _draw_curve(record["curve"])
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


def _draw_curve(curve: list[dict[str, float]]) -> None:
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
    (DOCS / "images" / "memory.svg").write_text(page)


def main() -> None:
    """Write the page."""
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    records = [json.loads(path.read_text()) for path in sorted((BENCH / "accuracy").glob("*.json"))]
    weights = sorted({(record["weights"]["name"], record["weights"]["sha256"]) for record in records})
    said = "Weights: " + "; ".join(f"`{name}`, sha256 `{sha256}`" for name, sha256 in weights) + "." if weights else ""
    (DOCS / "benchmarks.md").write_text("\n".join([HEAD.format(weights=said), *accuracy(), *speed(), *endurance()]), encoding="utf-8")


if __name__ == "__main__":
    main()
