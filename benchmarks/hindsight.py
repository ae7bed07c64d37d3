"""How much of what the best single read-out could gain the left-out choice of `analogy` recovers.

    python benchmarks/hindsight.py [--shots 1 5] [--sets NAME ...] [--shard i/n]

Every read-out that the default chooses from is forced alone (first draw of each set) and compared with what the default chose by itself.
Rows stand in bench/hindsight as those of accuracy.py, the table in bench/hindsight.json. Recovered is pooled over rows as
sums: (chosen - worst) / (best - worst), and the same from the coarse read-out of tokens instead of the worst.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from accuracy import OUT, Bench, Variant, arguments_of
from common import BENCH, Cell, cells, need_shared, semantic_sets, write_json
from likewise.methods.analogy.method import AnalogySettings

COARSE = "tokens"


def readouts() -> tuple[str, ...]:
    """The read-outs that the preset `default` chooses from."""
    return AnalogySettings.preset("default").readouts


def compare(bench: Bench, forced: Bench, cell: Cell, names: Sequence[str]) -> dict[str, Any] | None:
    """MIoU of the choice and of each read-out alone in a cell; None if one could not be had."""
    chosen = bench.row(Variant("analogy", "default"), cell)
    alone = {name: forced.row(Variant("analogy", "default", name, {"readouts": (name,)}), cell) for name in names}
    if chosen is None or not all(alone.values()):
        return None
    scores = {name: row["miou"] for name, row in alone.items() if row}
    return {"set": cell.set, "shots": cell.shots, "chosen": chosen["miou"], "choice": chosen["choice"], "alone": scores}


def recovered(rows: Sequence[Mapping[str, Any]], start: str | None = None) -> float | None:
    """The share of the gain of the best read-out in hindsight, over the worst or over the one called `start`; None if there is no gain."""
    gained = wanted = 0.0
    for row in rows:
        low = row["alone"][start] if start else min(row["alone"].values())
        gained += row["chosen"] - low
        wanted += max(row["alone"].values()) - low
    return gained / wanted if wanted > 0 else None


def main() -> None:
    """Measure and write bench/hindsight.json."""
    parser = arguments_of(__doc__)
    parser.set_defaults(shots=["1", "5"])
    arguments = parser.parse_args()
    need_shared()
    os.environ.setdefault("LIKEWISE_FEATURES", str(BENCH / "features"))
    warnings.simplefilter("ignore")
    names, keep = readouts(), arguments.stale == "keep"
    bench, forced = Bench(OUT, keep_stale=keep), Bench(BENCH / "hindsight", keep_stale=keep)
    wanted = [cell for cell in cells(arguments.sets, arguments.shots, draws=1) if cell.set in semantic_sets()]
    index, count = arguments.shard
    rows = [row for cell in wanted[index - 1 :: count] if (row := compare(bench, forced, cell, names))]
    if count == 1:
        record = {"rows": rows, "over_worst": recovered(rows), "over_coarse": recovered(rows, COARSE)}
        write_json(BENCH / "hindsight.json", record)
        print(json.dumps({key: value for key, value in record.items() if key != "rows"}))
    if failed := [*bench.failed, *forced.failed]:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
