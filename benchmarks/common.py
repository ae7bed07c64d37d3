"""What the benches share: the sets, their fixed draws, score.py as it is, memory, and where results stand."""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.files import replacing

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
DATA, BENCH, DOCS = SHARED / "data", ROOT / "bench", ROOT / "docs"
SHOTS = ("split", "1", "2", "5", "10")
FRAMES = ("1", "3", "6")  # of the depth set
IGNORE = 255


@dataclass(frozen=True)
class Cell:
    """A task to learn and to score: a set, the images a class ("split": the set's own support), the draw, and names."""

    set: str
    shots: str
    draw: int
    support: tuple[str, ...]
    query: tuple[str, ...]

    @property
    def place(self) -> Path:
        """Where results of this cell stand below the folder of a variant: SHOTS/SET/DRAW.json."""
        return Path(self.shots) / self.set / f"{self.draw}.json"


def need_shared() -> None:
    """Leave the program with a word where the sets are not."""
    if not SHARED.exists():
        sys.exit("../shared is not here: nothing to measure on")


@cache
def meta(name: str) -> dict[str, Any]:
    """The dataset.json of a set."""
    found: dict[str, Any] = json.loads((DATA / name / "dataset.json").read_text())
    return found


def classes(name: str) -> dict[int, str]:
    """Class numbers and names of a set."""
    return {int(number): word for number, word in meta(name).get("classes", {}).items()}


@cache
def semantic_sets() -> tuple[str, ...]:
    """Sets with masks and a split by image, by name."""
    return tuple(name for name in _sets() if (DATA / name / "masks").exists())


@cache
def depth_sets() -> tuple[str, ...]:
    """Sets with depth."""
    return tuple(name for name in _sets() if (DATA / name / "depth").exists())


def _sets() -> list[str]:
    found = sorted(path.parent.name for path in DATA.glob("*/dataset.json"))
    return [name for name in found if isinstance(meta(name).get("split", {}).get("support"), list)]


@cache
def _draws() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SHARED / "tools" / "draws.json").read_text())
    return found


def cells(sets: Sequence[str] = (), shots: Sequence[str] = SHOTS, draws: int | None = None) -> list[Cell]:
    """The cells of sets (all if none is named), first draws first, so that a bench that is cut short is of use."""
    found = [cell for name in semantic_sets() if not sets or name in sets for cell in _semantic(name, shots)]
    found += [cell for name in depth_sets() if not sets or name in sets for cell in _depth(name, shots)]
    kept = [cell for cell in found if draws is None or cell.draw < draws]
    return sorted(kept, key=lambda cell: (cell.draw, SHOTS.index(cell.shots) if cell.shots in SHOTS else len(SHOTS), cell.set))


def _semantic(name: str, shots: Sequence[str]) -> list[Cell]:
    by_shots = {"split": [meta(name)["split"]], **_draws().get(name, {})}
    return [Cell(name, wanted, index, tuple(draw["support"]), tuple(draw["query"])) for wanted in shots for index, draw in enumerate(by_shots.get(wanted, []))]


def _depth(name: str, shots: Sequence[str]) -> list[Cell]:
    """From 1, 3 and 6 frames; all of them where the split is asked for, since the whole support has 6."""
    split = meta(name)["split"]
    wanted = FRAMES if "split" in shots else [frames for frames in FRAMES if frames in shots]
    return [Cell(name, frames, 0, tuple(split["support"][: int(frames)]), tuple(split["query"])) for frames in wanted]


@cache
def score() -> ModuleType:
    """The module ../shared/tools/score.py, as it stands there."""
    spec = importlib.util.spec_from_file_location("score", SHARED / "tools" / "score.py")
    if spec is None or spec.loader is None:
        raise ImportError("../shared/tools/score.py cannot be read")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def picture(name: str, image: str) -> Path:
    """The path of an image of a set."""
    return next((DATA / name / "images").glob(image + ".*"))


def truth(name: str, image: str) -> NDArray[np.uint8]:
    """The labels (H, W) of an image of a set: 0 background, 255 ignore."""
    return np.asarray(Image.open(DATA / name / "masks" / f"{image}.png"))


@cache
def shown(name: str, image: str) -> frozenset[int] | None:
    """The numbers of the classes that an image of a set shows; None where nothing of it is labelled, only ignored."""
    values = frozenset(np.unique(truth(name, image)).tolist())
    return None if values == {IGNORE} else values - {0, IGNORE}


def write_json(path: Path, record: Any) -> None:
    """Write a record at once or not at all; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(json.dumps(record, indent=1))


def read_json(path: Path) -> Any:
    """A record, or None if it was not measured."""
    return json.loads(path.read_text()) if path.exists() else None


def forget_peak() -> None:
    """Begin the peak of resident memory anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_mb() -> float:
    """The largest resident memory since `forget_peak`, or of the process, in MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    kept = next((float(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
    return (kept if kept is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
