"""Every method in the same episodes of classes that nothing here was trained on, as docs/laboratory_results.md shows them.

    python benchmarks/laboratory.py [--pixel FILE] [--image FILE] [--only PLACE ...] [--without METHOD ...] [--shard i/n] [--page]

Each cell is a call of `likewise evaluate`, whose command is printed; what is there already is not made again. `--pixel` and
`--image` are checkpoints of `cst` as `likewise train` makes them by recipes/cst/small-pixel.toml and small-image.toml: one answers masks,
the other tags; `cst` is the one that comes with the program. `--page` only writes the page from what was measured. Results stand in bench/laboratory (ignored).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from accuracy import shard
from common import BENCH, DOCS, ROOT, need_shared, read_json

OUT = BENCH / "laboratory"
PAGE = DOCS / "laboratory_results.md"
GROUPS = "benchmarks/laboratory.toml"
BASES = ("prototype", "ridge", "nearest", "attention")
SUPPORTS = ("mask", "tag")
RUNS = OUT / "runs"  # NAME/best.safetensors, links: a contender is called cst-NAME-best
TRAINED = {"mask": f"cst:{RUNS.relative_to(ROOT)}/pixel/best.safetensors", "tag": f"cst:{RUNS.relative_to(ROOT)}/image/best.safetensors"}
SIDE = 280  # of cst here, half the cost of the published 400 pixels


@dataclass(frozen=True)
class Place:
    """Classes that are asked for: a set of ../shared/data, and which of them."""

    name: str
    what: str
    data: str
    options: tuple[str, ...] = ()


CLASSES = Place("classes", "the 20 test classes of `classes_train`", "classes_train")
ALONE = (
    Place("msrc", "`classes_train`, its 9 test classes of MSRC", "classes_train", ("--folds", GROUPS, "--fold", "0")),
    Place("icoseg", "`classes_train`, its 7 groups of iCoseg, nearly one thing each", "classes_train", ("--folds", GROUPS, "--fold", "1")),
    Place("garments", "`classes_train`, its 4 garments", "classes_train", ("--folds", GROUPS, "--fold", "2")),
    Place("objects", "`objects`, 10 classes", "objects", ("--folds", "1")),
    Place("subjects", "`subjects`, 8 things, each the same one again", "subjects", ("--folds", "1")),
    Place("landmark", "`landmark`, one class", "landmark", ("--folds", "1")),
    Place("nuclei", "`nuclei`, one class, in every picture", "nuclei", ("--folds", "1")),
)


@dataclass(frozen=True)
class Asked:
    """A call of `likewise evaluate`: the contenders are compared with the first, in the same episodes."""

    place: Place
    contenders: tuple[str, ...]
    support: str
    way: int = 1
    shot: int = 1
    episodes: int = 100
    out: Path = OUT
    more: tuple[str, ...] = ("--set", f"cst.side={SIDE}")

    @property
    def command(self) -> list[str]:
        """What a user would type, from the root of the repository."""
        words = ["evaluate", ",".join(self.contenders), f"../shared/data/{self.place.data}", *self.place.options]
        words += ["--way", str(self.way), "--shot", str(self.shot), "--support", self.support, "--episodes", str(self.episodes)]
        return [*words, "--preset", "fast", *self.more, "--out", str((self.out / self.place.name).relative_to(ROOT))]

    def records(self) -> Iterator[dict[str, Any]]:
        """What was measured so far, in the order of the contenders' folders."""
        for path in sorted((self.out / self.place.name).glob(f"*/test-fscs-{self.way}way-{self.shot}shot-{self.support}/record.json")):
            found = read_json(path)
            if found and found["episodes"]["episodes"] == self.episodes:
                yield found


def cells(without: Sequence[str] = ()) -> Iterator[Asked]:
    """All of them: groups and sets at one way with every method, then more ways and shots with those that answer fast."""
    for place, support in product(ALONE, SUPPORTS):
        yield _asked(place, (*BASES, "cst", TRAINED[support], "cst:random", "analogy"), support, without, episodes=60)
    for (way, shot), support in product([(1, 1), (1, 5), (2, 1), (3, 1), (4, 1), (5, 1)], SUPPORTS):
        yield _asked(CLASSES, (*BASES, TRAINED[support]), support, without, way=way, shot=shot)


def _asked(place: Place, contenders: Sequence[str], support: str, without: Sequence[str], **numbers: int) -> Asked:
    return Asked(place, tuple(one for one in contenders if one not in without), support, **numbers)


def tables(found: Sequence[Asked]) -> list[str]:
    """For each place and support a table of all contenders, as lines."""
    lines = []
    for cell in found:
        records = sorted(cell.records(), key=lambda record: -record["average"]["miou"])
        if not records:
            continue
        lines += [f"### {cell.place.what}: {cell.way}-way {cell.shot}-shot, {cell.support}, {cell.episodes} episodes", ""]
        lines += ["| | exact ratio | mIoU | FB-IoU | mIoU less `prototype` |", "|---|---|---|---|---|", *map(_row, records), ""]
    return lines


def _row(record: dict[str, Any]) -> str:
    columns = [_cell(record["average"][name], record["intervals"][name]) for name in ("exact_ratio", "miou", "fb_iou")]
    lead = record.get("against", {}).get("scores", {}).get("miou")
    ahead = "" if lead is None else _cell(lead["difference"], lead["interval"], "+")
    return f"| `{record['label']}` | " + " | ".join([*columns, ahead]) + " |"


def _cell(value: float, interval: Sequence[float], sign: str = "") -> str:
    return f"{value:{sign}.1f} ({interval[0]:{sign}.1f} to {interval[1]:{sign}.1f})"


HEAD = """\
# Methods in episodes, measured here

Written by `python benchmarks/laboratory.py`, which prints the command of every table. Weights `dinov2-reg-small-sphere`, preset `fast`. FS-CS: the
query may show none of the classes. `cst` is as it [comes with the program](methods/cst.md), `cst-pixel-best` and `cst-image-best` are trained by the
recipes `small-pixel` and `small-image` ([training](training.md)), `cst-random` is untrained. Nothing below was trained on. Brackets: 95 % of the
bootstrap over episodes; what another draw of the classes would do they do not say. The last column compares in the same episodes. mIoU leaves
void out. These are not the paper's data: no figure here may be set against a published one.
"""


def main() -> None:
    """Run the cells that are asked for, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixel", type=Path, metavar="FILE", help="a cst trained with masks")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a cst trained with image-level labels")
    parser.add_argument("--only", nargs="*", help="places, by name")
    parser.add_argument("--without", nargs="*", default=[], help="contenders to leave out, so that a slow one can be added by a later call")
    parser.add_argument("--shard", type=shard, default=(1, 1), help="i/n: the i-th of n shares of the work")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    need_shared()
    for name, file in {"pixel": arguments.pixel, "image": arguments.image}.items():
        link = RUNS / name / "best.safetensors"
        link.parent.mkdir(parents=True, exist_ok=True)
        if file is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(file.resolve())
        elif not link.exists():
            arguments.without.append(TRAINED["mask" if name == "pixel" else "tag"])
    found = list(cells(arguments.without))
    index, count = arguments.shard
    for cell in [] if arguments.page else found[index - 1 :: count]:
        if not arguments.only or cell.place.name in arguments.only:
            print("likewise", *cell.command, flush=True)
            subprocess.run([sys.executable, "-m", "likewise", *cell.command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    PAGE.write_text("\n".join([HEAD, *tables(found)]))


if __name__ == "__main__":
    main()
