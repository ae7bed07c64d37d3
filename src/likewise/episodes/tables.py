"""A table of the paper repeated with methods and data that are here, beside its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from likewise.episodes.benchmark import Benchmark
from likewise.episodes.evaluation import Setting
from likewise.episodes.published import Published, protocol, rows_of, source
from likewise.episodes.record import FRAMES, PROTOCOLS, head_row, own_row, published_row, rule_row
from likewise.episodes.switches import need_of
from likewise.errors import InputError


@dataclass(frozen=True)
class Block:
    """The rows of a table that share a setting, and why the data here cannot carry it ("" where it can)."""

    setting: Setting
    rows: Sequence[Published]
    obstacle: str = ""

    @property
    def title(self) -> str:
        """The setting in words."""
        return f"{FRAMES[self.setting.frame]}, {self.setting.way}-way {self.setting.shot}-shot, support by {self.setting.labelling}"


def blocks_of(table: str, base: Setting, check: Callable[[Setting], object]) -> list[Block]:
    """The settings of a table, each tried on the data by `check`, which raises InputError or UsageError for what it cannot carry."""
    found: dict[tuple[Any, ...], list[Published]] = {}
    for row in rows_of(table):
        frame, labelling, way, shot = row.asked
        found.setdefault((frame, "mask" if need_of(row).true_support else labelling, way, shot), []).append(row)
    blocks = []
    for (frame, labelling, way, shot), rows in found.items():
        setting = replace(base, frame=frame, labelling=labelling, way=way, shot=shot)
        blocks.append(Block(setting, rows, _obstacle(setting, check)))
    return blocks


def repeated(block: Block, method: str, known: Mapping[str, Any] | None) -> list[str]:
    """The rows of a block, by their titles, that a method repeats whose checkpoint was trained with these switches, or that has these settings."""
    found = [(row, need_of(row)) for row in block.rows]
    return [row.title for row, need in found if need.method == method and need.met_by(known)]


def page_of_table(table: str, benchmark: Benchmark, blocks: Sequence[tuple[Block, Sequence[Mapping[str, Any]]]]) -> str:
    """The table in Markdown: by setting the rows of the paper, those of records made here, and which of the former are repeated, or what they need."""
    lines = [f"# Table {table}, repeated on {benchmark.name}", ""]
    if any(row.benchmark != benchmark.name for block, _ in blocks for row in block.rows):
        lines += [f'**Other data.** Rows marked "here" are of {benchmark.name}, not of the paper\'s benchmarks: compare orders, not figures.', ""]
    for block, records in blocks:
        lines += [f"## {block.title}", ""]
        if block.obstacle:
            lines += [f"Not repeated: {block.obstacle}.", ""]
        lines += [head_row(), rule_row(), *(published_row(row) for row in block.rows), *(own_row(record) for record in records), ""]
        lines += [] if block.obstacle else [*_repetitions(block, records), ""]
    used = dict.fromkeys(record["protocol"] for _, records in blocks for record in records)
    lines += [f"- Published: {protocol()}. {source()}.", *(f"- Here, {PROTOCOLS[name]}." for name in used)]
    return "\n".join(lines) + "\n"


def _repetitions(block: Block, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each row of the paper the record that repeats it, or what it needs."""
    lines: dict[str, list[str]] = {}
    for row in block.rows:
        labels = [record["label"] for record in records if row.title in record.get("repeats", ())]
        told = [f"repeated by {label}" for label in labels] or [f"not repeated: {need_of(row).told}"]
        for line in told:
            lines.setdefault(line, []).append(row.title)
    return [f"- {'; '.join(dict.fromkeys(titles))}: {line}" for line, titles in lines.items()]


def _obstacle(setting: Setting, check: Callable[[Setting], object]) -> str:
    try:
        check(setting)
    except (InputError, ValueError) as error:
        return getattr(error, "what", str(error))
    return ""
