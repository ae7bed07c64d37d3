"""The page of the arena, docs/arena.md, and the shorter tables of README.md and docs/methods/README.md, from the rows of `arena.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from arena_rows import ORDER, OURS, OUT, Arena, Pair, load
from bootstrap import Interval, interval
from common import DOCS, ROOT, depth_sets, read_json
from contenders import PEERS, SHOWN, Contender, Program, contenders, takes
from marks import between_marks
from provenance import code_key

PAGE = DOCS / "arena.md"
Shown = Contender | Program
PROGRAMS = ("napari-convpaint",)
WORDS = {"1": "1 image a class", "2": "2", "3": "3", "5": "5", "10": "10", "6": "6", "split": "own split"}


def write() -> None:
    """All three, from whatever was measured."""
    arena = load()
    present = [one for one in contenders() if one.name in arena.rows]
    every: list[Shown] = [*present, *(Program(name) for name in sorted(arena.rows) if name.startswith(PROGRAMS))]
    costs = {one.name: read_json(OUT / one.name / "cost.json") or {} for one in every}
    between_marks(PAGE, "ahead of us", list(ahead(arena, every)))
    between_marks(PAGE, "standing", list(standing(arena, every)))
    between_marks(PAGE, "arena", list(table(arena, every, costs)))
    between_marks(PAGE, "made by", list(made_by(arena, present)))
    between_marks(ROOT / "README.md", "methods", list(short(arena.first(), present, costs)))
    between_marks(DOCS / "methods" / "README.md", "methods", list(by_set(arena.first(), present)))


def ahead(arena: Arena, present: Sequence[Shown]) -> Iterator[str]:
    """Every (set, shots) in which another method is above `analogy`, the widest first, with the interval of the difference."""
    found = []
    for pair in arena.pairs:
        for one in _others(present):
            margin = arena.margin(one.name, pair)
            if margin is not None and margin < 0:
                found.append((margin, pair, one))
    if not found:
        yield "Nowhere, of what was measured."
        return
    yield "| set | images a class | method | ahead of `analogy` by, 95 % interval | of draws |"
    yield "|---|---|---|---|---|"
    for margin, pair, one in sorted(found, key=lambda item: item[0]):
        both = arena.behind(one.name, [pair])
        sure = interval(0 - both[0]) if both else None
        told = f"{-margin:.1f}" + (f" [{sure.low:+.1f}, {sure.high:+.1f}]" if sure else "")
        common = len(set(arena.draws(OURS, pair)) & set(arena.draws(one.name, pair)))
        yield f"| {pair[0]} | {pair[1] if pair[1] != 'split' else 'own split'} | {one.title} | {told} | {common} |"


def standing(arena: Arena, present: Sequence[Shown]) -> Iterator[str]:
    """`analogy` against each other method, and against the best peer and the best other method of each (set, shots)."""
    yield "| `analogy` against | (set, shots) | not below on | mean difference in mIoU, 95 % interval |"
    yield "|---|---|---|---|"
    for one in _others(present):
        margins = [margin for pair in arena.pairs if (margin := arena.margin(one.name, pair)) is not None]
        both = arena.behind(one.name, arena.pairs)
        if margins:
            yield f"| {one.title} | {len(margins)} | {_share(margins)} | {_signed(interval(both[0])) if both else ''} |"
    peers = [one for one in present if isinstance(one, Program) or one.variant.method in PEERS]
    for others, name in ((peers, "peer"), (present, "other method")):
        best = {pair: min(margins) for pair in arena.pairs if (margins := _margins(arena, others, pair))}
        masks = [margin for (place, _), margin in best.items() if place not in depth_sets()]
        if masks:
            means = f"{np.mean(masks):+.1f} on masks"
            yield f"| **the best {name} of each (set, shots)**, chosen by the scores themselves | {len(best)} | {_share(list(best.values()))} | {means} |"


def table(arena: Arena, present: Sequence[Shown], costs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A row a set and method, the best mean first."""
    columns = [shots for shots in ORDER if any(shots == found for _, found in arena.pairs)]
    yield (
        "| set | method | " + " | ".join(WORDS[shots] for shots in columns) + " | draws | `analogy` less it | CPU s to learn / a query | MB | weights | code |"
    )
    yield "|---" * (len(columns) + 8) + "|"
    for name in arena.sets:
        pairs = [pair for pair in arena.pairs if pair[0] == name]
        rows = [one for one in present if any(arena.draws(one.name, pair) for pair in pairs)]
        best = {pair: max(score for one in rows if (score := _comparable(arena, one, pair)) is not None) for pair in pairs}
        for one in sorted(rows, key=lambda one: -_mean(arena, one, pairs)):
            cells = [_cell(arena, one, (name, shots), best) for shots in columns]
            both = arena.behind(one.name, pairs) if one.name != OURS else None
            told = [*cells, _draws(arena, one, pairs), _signed(interval(both[0])) if both else "", _cost(costs[one.name]), _hashes(arena, one, pairs)]
            yield f"| {name} | {one.title} | {' | '.join(told)} |"


def made_by(arena: Arena, present: Sequence[Contender]) -> Iterator[str]:
    """Which weights the hashes mean, and how many rows other code made than stands here."""
    named = {(found["name"], found["sha256"]) for one in present for _, row in _rows(arena, one) for found in row["weights"].values()}
    yield "Weights: " + "; ".join(f"`{sha256[:8]}` {name}" for name, sha256 in sorted(named) if sha256) + "."
    keys = {one.name: code_key(one.variant.method) for one in present}
    every = [(keys[one.name], row) for one in present for _, row in _rows(arena, one)]
    old, confirmed = sum(key != row["code"] for key, row in every), sum(key == row["code"] and row.get("confirmed", False) for key, row in every)
    yield f"{len(every)} rows; {old} of them were made by other code than stands here. Another {confirmed} were made by other code too, which was confirmed:"
    yield "one row of each of these methods, made again by the code that stands here, is equal in every count of pixels (`--confirm`)."


def short(arena: Arena, present: Sequence[Contender], costs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The table of the README: a row a method that was measured on all sets of masks, means over the sets."""
    sets = {shots: [pair for pair in arena.pairs if pair[1] == shots and pair[0] not in depth_sets()] for shots in ("1", "5", "split")}
    yield ""
    head = ["method", "learns from", "learned numbers", "mIoU, 1 image a class", "5 images", "the set's own split"]
    yield f"| {' | '.join([*head, 'seconds a query (backbone)', 'MB', 'checked against'])} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in present:
        told = [_over_sets(arena, one, pairs) for pairs in sets.values()]
        if any(told):
            spent = costs[one.name]
            size = f"{_number(spent['parameters'])}{f' ({one.checkpoint})' if one.checkpoint else ''}" if spent else ""
            price = f"{spent['query']:.2f} ({_backbone(spent)}) | {spent['mb']:.0f}" if spent else " | "
            yield f"| {one.title} | {takes(one.variant.method)} | {size} | {' | '.join(told)} | {price} | {one.verified} |"
    yield ""
    yield "First draws; means over sets of `../shared/data`: " + "; ".join(f"{WORDS[shots]}: {len(pairs)}" for shots, pairs in sets.items()) + "."


def by_set(arena: Arena, present: Sequence[Contender]) -> Iterator[str]:
    """The table of docs/methods/README.md: a row a method and number of images, a column a set."""
    names = [name for name in arena.sets if name not in depth_sets()]
    yield ""
    yield "| method, images a class | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for one in present:
        for shots in ("1", "5"):
            cells = [arena.score(one.name, (name, shots)) for name in names]
            if any(cell is not None for cell in cells):
                yield f"| {one.title}, {shots} | " + " | ".join("" if cell is None else f"{cell:.1f}" for cell in cells) + " |"


def _others(present: Sequence[Shown]) -> list[Shown]:
    return [one for one in present if one.name not in SHOWN]


def _rows(arena: Arena, one: Shown) -> Iterator[tuple[Pair, Mapping[str, Any]]]:
    for pair, draws in arena.rows[one.name].items():
        yield from ((pair, row) for row in draws.values())


def _margins(arena: Arena, present: Sequence[Shown], pair: Pair) -> list[float]:
    return [margin for one in _others(present) if (margin := arena.margin(one.name, pair)) is not None]


def _share(margins: Sequence[float]) -> str:
    count = sum(margin >= 0 for margin in margins)
    return f"{count} ({100 * count / len(margins):.0f} %)"


def _mean(arena: Arena, one: Shown, pairs: Sequence[Pair]) -> float:
    return float(np.mean([score for pair in pairs if (score := arena.score(one.name, pair)) is not None]))


def _comparable(arena: Arena, one: Shown, pair: Pair) -> float | None:
    """The score of a contender that has all draws of ours; None for another."""
    return arena.score(one.name, pair) if set(arena.draws(one.name, pair)) >= set(arena.draws(OURS, pair)) else None


def _cell(arena: Arena, one: Shown, pair: Pair, best: Mapping[Pair, float]) -> str:
    score, sure, spread = arena.score(one.name, pair), arena.over(one.name, pair), arena.spread(one.name, pair)
    if score is None:
        return ""
    text = f"**{score:.1f}**" if pair in best and _comparable(arena, one, pair) == best[pair] else f"{score:.1f}"
    return text + (f" ± {spread:.1f}" if spread is not None else "") + (f" [{sure.low:.0f}, {sure.high:.0f}]" if sure else "")


def _draws(arena: Arena, one: Shown, pairs: Sequence[Pair]) -> str:
    counts = sorted({len(draws) for pair in pairs if (draws := arena.draws(one.name, pair))})
    return " to ".join(str(count) for count in (counts if len(counts) == 1 else (counts[0], counts[-1])))


def _signed(found: Interval) -> str:
    return f"{found.value:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def _cost(spent: Mapping[str, Any]) -> str:
    return f"{spent['learn']:.1f} / {spent['query']:.2f} | {spent['mb']:.0f}" if spent else " | "


def _hashes(arena: Arena, one: Shown, pairs: Sequence[Pair]) -> str:
    rows = [row for pair in pairs for row in arena.draws(one.name, pair).values()]
    used = sorted({found["sha256"][:8] for row in rows for found in row["weights"].values() if found["sha256"]})
    return f"{', '.join(used) or 'none'} | {', '.join(sorted({row['code'][:8] for row in rows}))}"


def _over_sets(arena: Arena, one: Shown, pairs: Sequence[Pair]) -> str:
    scores = [arena.over(one.name, pair) for pair in pairs]
    return f"{np.mean([score.value for score in scores if score is not None]):.1f}" if scores and None not in scores else ""


def _backbone(spent: Mapping[str, Any]) -> str:
    """Seconds of the bare backbone; of a method that runs it itself they cannot be told apart."""
    return f"{spent['backbone']:.2f}" if spent["backbone"] > spent["query"] / 100 else "within"


def _number(value: int) -> str:
    return "0" if not value else f"{value / 1e6:.2f} M"
