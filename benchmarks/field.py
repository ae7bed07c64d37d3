"""The methods around CST in the same episodes: HSNet, ASNet, PANet, PFENet and EMAT, `cst`, and `analogy` and `prototype` beside them.

    python benchmarks/field.py [--checkpoint NAME=FILE ...] [--only PLACE ...] [--without METHOD ...] [--shard i/n] [--page]

Each cell is a call of `likewise evaluate`, whose command is printed; what is there already is not made again. Checkpoints are those of
recipes/NAME/small-pixel.toml; a method that needs one and has none is left out. Queries may show none of the classes (FS-CS). What they cost is
measured by field_cost.py. Results stand in bench/field (ignored); the tables go to
docs/methods/field.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from accuracy import shard
from common import BENCH, DOCS, ROOT, need_shared
from laboratory import SIDE, Asked, Place, tables
from marks import between_marks

OUT = BENCH / "field"
RUNS = OUT / "runs"  # NAME/trained.safetensors, links
PAGE = DOCS / "methods" / "field.md"
TRAINED = ("cst", "hsnet", "asnet", "pfenet", "emat")
FREE = ("prototype", "panet", "class-attention")
PLACES = (
    Place("classes", "the 20 test classes of `classes_train`", "classes_train"),
    Place("objects", "`objects`, 10 classes", "objects", ("--folds", "1")),
    Place("subjects", "`subjects`, 8 things, each the same one again", "subjects", ("--folds", "1")),
)
WAYS, MANY = (1, 2, 3, 4, 5), (1, 2)
SETTINGS = tuple(part for name in ("cst", "hsnet", "asnet", "emat", "class-attention") for part in ("--set", f"{name}.side={SIDE}"))


def trained(name: str) -> str:
    """The contender of a method with the checkpoint that was named."""
    return f"{name}:{(RUNS / name / 'trained.safetensors').relative_to(ROOT)}"


def asked(names: Sequence[str]) -> Iterator[Asked]:
    """The cells: every place at 1 to 5 ways, then five examples a class where classes have six pictures."""
    contenders = (*FREE, *(trained(name) for name in TRAINED if name in names), "analogy")
    settings = tuple(
        word for name, pair in zip(SETTINGS[::2], SETTINGS[1::2], strict=True) if pair.partition(".")[0] in (*names, *FREE) for word in (name, pair)
    )
    for place in PLACES:
        for way in WAYS:
            yield Asked(place, contenders, "mask", way=way, episodes=60, out=OUT, more=settings)
    for place in PLACES[:2]:
        for way in MANY:
            least = Place(place.name, f"{place.what}, of at least six pictures", place.data, (*place.options, "--least", "6"))
            yield Asked(least, contenders, "mask", way=way, shot=5, episodes=60, out=OUT, more=settings)


def checkpoint_of(name: str) -> str | None:
    """The checkpoint of a method that was named, now or earlier."""
    file = RUNS / name / "trained.safetensors"
    return str(file) if file.exists() else None


def main() -> None:
    """Measure what is asked for, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--only", nargs="*", help="places, by name")
    parser.add_argument("--without", nargs="*", default=[], help="contenders to leave out, so that a slow one can be added by a later call")
    parser.add_argument("--ways", nargs="*", type=int, help="only these")
    parser.add_argument("--shots", nargs="*", type=int, help="only these")
    parser.add_argument("--shard", type=shard, default=(1, 1), help="i/n: the i-th of n shares of the work")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    told = parser.parse_args()
    need_shared()
    files: Mapping[str, str] = dict(pair.partition("=")[::2] for pair in told.checkpoint)
    for name, file in files.items():
        link = RUNS / name / "trained.safetensors"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(Path(file).resolve())
    names = [name for name in TRAINED if checkpoint_of(name)]
    found = list(asked(names))
    index, count = told.shard
    for cell in [] if told.page else found[index - 1 :: count]:
        if (not told.only or cell.place.name in told.only) and (not told.ways or cell.way in told.ways) and (not told.shots or cell.shot in told.shots):
            cell = Asked(**{**vars(cell), "contenders": tuple(one for one in cell.contenders if one.partition(":")[0] not in told.without)})
            print("likewise", *cell.command, flush=True)
            subprocess.run([sys.executable, "-m", "likewise", *cell.command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    between_marks(PAGE, "field", ["", *tables(found)])


if __name__ == "__main__":
    main()
