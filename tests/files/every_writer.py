"""Every writer of files, each as two contents for the same place: what the tests of failures and of killed processes go over."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import likewise
from likewise.backbones import FeatureStore
from likewise.data import ClassTable, Prediction, Target
from likewise.formats import FORMATS, class_sets, open_writer, write_prediction, writing
from likewise.formats.converting import convert, plan
from likewise.formats.files import write_atomic
from likewise.labelling.folder import opened
from likewise.labelling.lines import write_atomically
from likewise.labelling.measuring import write_tables
from likewise.labelling.refining import refine_folder
from likewise.methods.vtm.adapting import Keeper
from likewise.methods.vtm.tuning import TuningState
from likewise.training.state import State, save_state
from likewise.weights import cache as weights_cache
from likewise.weights import write_checkpoint

SIZE = (40, 60)
PICTURES = Path(tempfile.mkdtemp(prefix="every-writer-"))  # shared by all folders
atexit.register(shutil.rmtree, PICTURES, ignore_errors=True)


@dataclass(frozen=True)
class Writer:
    """A way to write: write(folder, version) writes version 1 or, over it, 2.

    module: the one in `likewise` that writes; serialiser: what turns the content into bytes, as "module:attribute" to be replaced by one that fails, or
    a function (monkeypatch, failing) that does so; prepare: what must stand in the folder before.
    """

    name: str
    module: str
    write: Callable[[Path, int], Any]
    serialiser: str | Callable[[Any, Callable[..., Any]], None]
    prepare: Callable[[Path], Any] = lambda folder: None


def labels(version: int) -> np.ndarray:
    """Noise, so that what is written is large enough to be cut."""
    return np.random.default_rng(version).integers(0, 3, SIZE).astype(np.uint8)


def table(version: int) -> ClassTable:
    return ClassTable({1: f"crack {version}" * 9, 2: "stain"})


@cache
def image(version: int) -> Path:
    path = PICTURES / f"a{version}.png"
    if not path.exists():
        Image.fromarray(np.random.default_rng(version).integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path)
    return path


def prediction(version: int, *, whole: bool = False) -> Prediction:
    """Labels with a dense map and a point, or the class of a whole image."""
    depth = np.random.default_rng(version).random((*SIZE, 1)).astype(np.float32)
    if whole:
        chances = {"crack": 0.9, "stain": 0.1}
        classes = ClassTable({1: "crack", 2: "stain"})
        return Prediction(classes, {}, np.zeros(SIZE, np.uint8), {"crack": 0.9}, {}, 0.5, image=str(image(version)), probabilities=chances)
    return Prediction(table(1), {"depth": Target()}, labels(version), {}, {"depth": depth}, 0.5, {"tip": (3.0 + version, 5.0, 0.5)}, image=str(image(1)))


def of_format(name: str) -> Writer:
    """What a run writes of an image."""

    def write(folder: Path, version: int) -> None:
        whole = name in class_sets.ENCODERS
        found = prediction(version, whole=whole)
        writer = open_writer(name, folder / "out", found.classes, found.targets, overlay=True, keypoints=not whole)
        writer.write("deep/a.png", found)

    def fail(patch: Any, failing: Callable[..., Any]) -> None:
        if name in writing.ENCODERS:
            patch.setitem(writing.ENCODERS, name, replace(writing.ENCODERS[name], encode=failing))
        else:
            patch.setattr("likewise.formats.class_writer.overlays.encode", failing)

    module = "likewise.formats.class_writer" if name in class_sets.ENCODERS else "likewise.formats.files"
    return Writer(name, module, write, fail)


def at_the_end(name: str, module: str, serialiser: str) -> Writer:
    """What a run writes once, of images that stand there already."""

    def prepare(folder: Path) -> None:
        if name not in class_sets.ENCODERS:
            writer = open_writer(name, folder / "out", table(1), {})
            for each in ("a.png", "b.png"):
                writer.write(each, prediction(1))

    def write(folder: Path, version: int) -> None:
        lines = [{"image": f"{number}.png", "probabilities": {f"crack {version}" * 9: 0.1 * version, "stain": 0.2}, "confidence": 0.5} for number in range(20)]
        open_writer(name, folder / "out", table(version), {}).finish(iter(lines))

    return Writer(f"{name} at the end", module, write, serialiser, prepare)


def merged_table(folder: Path, version: int) -> None:
    for number in range(20):
        write_atomic(folder / f".csv/{number}.csv", f"{number}.png,crack {version}\n".encode())
    class_sets.ENCODERS["csv"].finish(folder, folder / "out", table(version))


def examples() -> list[likewise.Example]:
    return [likewise.Example(str(image(version)), name=f"a{version}", label_map=labels(version)) for version in (1, 2)]


@cache
def task_of(count: int) -> likewise.Task:
    """A task of some examples."""
    support = likewise.Support(examples()[:count], classes={1: "crack", 2: "stain"})
    return likewise.learn(support, method="prototype", backbone="random:vit-tiny-14", device="cpu", engine="torch", precision="float32", side=56)


def labelled_folder(folder: Path) -> None:
    for part, picture in (("images", np.zeros((*SIZE, 3), np.uint8)), ("masks", labels(1))):
        (folder / "source" / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / "source" / part / "a.png")
    (folder / "source/classes.json").write_text('{"1": "crack", "2": "stain"}')


def begun_run(folder: Path, version: int) -> None:
    """The list of a run grows, and run.json says so."""
    with opened(folder / "run") as run:
        run.begin({"task": "x"}, 4, 4, resume=True)
        run.extend([f"{number}.jpg" for number in range(50 * version)])


def measured_tables(folder: Path, version: int) -> None:
    """The table of areas; one of objects is written beside it where there are any."""
    lines = [{"image": f"{number}.png", "size": SIZE, "measured": {"stain": [100 * version, 0.5]}} for number in range(20)]
    write_tables(lines, folder, table(version), None)


def optimiser(version: int) -> tuple[dict[str, torch.Tensor], torch.optim.Optimizer]:
    weight = torch.full((300,), float(version), requires_grad=True)
    chosen = torch.optim.Adam([weight])
    weight.sum().backward()
    chosen.step()
    return {"weight": weight.detach()}, chosen


def trained_state(folder: Path, version: int) -> None:
    save_state(folder, State(version, None, {"seed": 1}), *optimiser(version))


def tuning(folder: Path, version: int) -> None:
    tensors = {"bias": torch.full((200,), float(version))}
    Keeper(folder / "tuning.safetensors").keep(TuningState(tensors, tensors, curve=((0, 1.0),)))


def filled(version: int, count: int = 300) -> dict[str, torch.Tensor]:
    return {"tokens": torch.full((count,), float(version))}


def kept_features(folder: Path, version: int) -> None:
    FeatureStore(folder).write(hashlib.sha256(b"x").hexdigest(), filled(version))


JSON, TENSORS = "likewise.formats.encoder:json_bytes", "likewise.tensors:raw_bytes"
WRITERS: tuple[Writer, ...] = (
    *(of_format(each.name) for each in FORMATS if each.writes and each.name != "csv"),
    at_the_end("index-png", "likewise.formats.files", JSON),
    at_the_end("geotiff", "likewise.formats.files", JSON),
    at_the_end("coco", "likewise.formats.coco_writer", "likewise.formats.coco_writer:json_text"),
    at_the_end("voc", "likewise.formats.voc_writer", "likewise.formats.voc_writer:labelmap_text"),
    at_the_end("yolo", "likewise.formats.files", "likewise.formats.yolo_writer:encoded"),
    at_the_end("cvat", "likewise.formats.cvat_writer", "likewise.formats.cvat_writer:_numbered"),
    at_the_end("label-studio", "likewise.formats.label_studio_writer", "pathlib:Path.read_bytes"),
    at_the_end("examples", "likewise.formats.examples_json_writer", "likewise.formats.examples_json_writer:read_json"),
    at_the_end("csv", "likewise.formats.class_writer", "likewise.formats.class_writer:encoded"),
    Writer("csv, merged", "likewise.formats.class_sets", merged_table, "pathlib:Path.read_bytes"),
    Writer(
        "one prediction",
        "likewise.formats.files",
        lambda folder, version: write_prediction(prediction(version), folder / "x.png"),
        "likewise.formats.writing:keypoint_files.encode",
    ),
    Writer(
        "conversion",
        "likewise.files",
        lambda folder, version: convert(plan(folder / "source", "coco"), folder / f"out{version}"),
        "likewise.formats.coco_writer:json_text",
        prepare=labelled_folder,
    ),
    Writer(
        "refined examples",
        "likewise.files",
        lambda folder, version: refine_folder(task_of(2), folder / f"refined{version}"),
        "likewise.labelling.refining:label_png",
    ),
    Writer("run", "likewise.labelling.lines", begun_run, "likewise.labelling.folder:RunState.to_json"),
    Writer(
        "a file of a run",
        "likewise.labelling.lines",
        lambda folder, version: write_atomically(folder / "report.html", b"x" * 500 * version),
        "likewise.labelling.lines:replacing",
    ),
    Writer("measurements", "likewise.labelling.measuring", measured_tables, "likewise.labelling.measuring:_number"),
    Writer(
        "task file",
        "likewise.task.file",
        lambda folder, version: task_of(version).save(folder / "x.task"),
        TENSORS,
    ),
    Writer("checkpoint", "likewise.weights.checkpoints", lambda folder, version: write_checkpoint(filled(version), folder / "x.safetensors"), TENSORS),
    Writer(
        "note of the cache", "likewise.weights.cache", lambda folder, version: weights_cache.write_json(folder / "x.json", ["x" * 99] * version), "json:dumps"
    ),
    Writer("state of a training", "likewise.weights.checkpoints", trained_state, "likewise.training.state:json_bytes"),
    Writer("state of a tuning", "likewise.methods.vtm.adapting", tuning, TENSORS),
    Writer("features", "likewise.backbones.store", kept_features, "likewise.tensors:json.dumps"),
)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, temporary ones too; locks, which hold nothing, left out."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock"}


def temporary(names: Iterator[str] | dict[str, bytes]) -> list[str]:
    """The names of what is on its way, also inside a folder that is."""
    return [name for name in names if ".tmp" in name]
