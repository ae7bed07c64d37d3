"""`likewise evaluate`: methods through the episodes of a benchmark, beside published figures."""

from __future__ import annotations

import json
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import PresetName, parse_settings
from likewise.errors import UsageError

if TYPE_CHECKING:
    from likewise.episodes.evaluation import Contender
    from likewise.episodes.record import TrainedOn

LINE_EVERY = 30.0  # seconds between lines where stderr is no terminal


class SupportName(StrEnum):
    """What support images are labelled by."""

    MASK = "mask"
    BOX = "box"
    POINT = "point"
    SCRIBBLE = "scribble"
    TAG = "tag"
    MIX = "mix"


class PromptsName(StrEnum):
    """Who makes boxes, points and scribbles of masks."""

    PERSON = "person"
    PUBLISHED = "published"


class PartName(StrEnum):
    """Which classes of a fold the episodes are of."""

    TEST = "test"
    VAL = "val"
    TRAIN = "train"


class FrameName(StrEnum):
    """FS-CS: the query may show some classes or none; FS-S: it shows the one class; N-way: one of the classes at least."""

    FSCS = "fscs"
    FSS = "fss"
    NWAY = "nway"


class PairingName(StrEnum):
    """How support images with several classes are shown."""

    PAIRS = "pairs"
    JOINT = "joint"


class AugmentName(StrEnum):
    """For which other classes that they show supports are used: none, those of the episode, or all of the fold."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


class TrainedOnName(StrEnum):
    """What a checkpoint was trained on."""

    UNKNOWN = "unknown"
    STRICT = "strict-folds"
    DOMAIN = "in-domain"
    OTHER = "other-data"


def evaluate(
    method: Annotated[
        str, typer.Argument(metavar="METHOD", help="A name of `likewise methods`, or several: a,b:CHECKPOINT; or 'all' that take the support.")
    ] = "",
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK",
            help="pascal-5i:DIR, coco-20i:DIR, fss-1000:DIR, views:PATH, or the PATH of labelled images; of whole pictures classes:DIR, "
            "omniglot:DIR, omniglot-mini:PATH, lake:PATH, mini-imagenet:DIR, cub:DIR, mini-imagenet-to-cub:DIR.",
        ),
    ] = "",
    fold: Annotated[str, typer.Option("--fold", help="A number, several with commas, or all.")] = "all",
    part: Annotated[PartName, typer.Option("--part", help="The classes of the fold to draw from.")] = PartName.TEST,
    way: Annotated[int | None, typer.Option("--way", help="Classes an episode. [default: 1, of classes of whole pictures 5]")] = None,
    shot: Annotated[str, typer.Option("--shot", help="Support images a class; or a number for each way, with commas.")] = "1",
    queries: Annotated[int, typer.Option("--queries", help="Queries a class, of classes of whole pictures.")] = 15,
    episodes: Annotated[int | None, typer.Option("--episodes", help="Episodes a fold. [default: 1000, of classes of whole pictures 600]")] = None,
    support: Annotated[
        SupportName, typer.Option("--support", help="What support images are labelled by; mix: of --prompts published alone.")
    ] = SupportName.MASK,
    points: Annotated[int, typer.Option("--points", help="Points a class, with --support point.")] = 1,
    negative: Annotated[int, typer.Option("--negative", help="Points outside all classes, with --support point.")] = 0,
    prompts: Annotated[
        PromptsName, typer.Option("--prompts", help="Who makes them of masks: a person, or the published code of Label Anything, one an object.")
    ] = PromptsName.PERSON,
    frame: Annotated[
        FrameName, typer.Option("--frame", help="fscs: the query may show no class; fss: it shows the one class; nway: one of the classes at least.")
    ] = FrameName.FSCS,
    pairing: Annotated[
        PairingName | None, typer.Option("--pairing", help="pairs: one class an example; joint: all that it shows. [default: pairs, in nway joint]")
    ] = None,
    augment: Annotated[
        AugmentName,
        typer.Option(
            "--augment", help="Use supports for other classes that they show too: partial, of the episode; full, of the fold, which are then asked for."
        ),
    ] = AugmentName.NONE,
    no_empty_masks: Annotated[bool, typer.Option("--no-empty-masks", help="With fscs: the query shows the first class always.")] = False,
    object_size: Annotated[
        str, typer.Option("--object-size", metavar="LOW-HIGH", help="Only images in which the class takes so many per cent; 0-5 for example.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="0 draws the published episodes.")] = 0,
    official: Annotated[
        bool, typer.Option("--official", help="As published: fss may draw a support twice; nway draws the five reruns, and its scores come first.")
    ] = False,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help="Repeat a table of the paper (1, 4, a.14); 'list' says what each needs.")] = None,
    folds: Annotated[str | None, typer.Option("--folds", metavar="N|FILE", help="How many folds of labelled images, or a TOML or JSON file.")] = None,
    least: Annotated[int, typer.Option("--least", help="Leave out classes with fewer labelled images.")] = 1,
    as_format: Annotated[str | None, typer.Option("--as", metavar="FORMAT", help="Read the labelled images in this format.")] = None,
    lists: Annotated[Path | None, typer.Option("--lists", metavar="DIR", help="The folder of the published lists, if not in the benchmark's.")] = None,
    own_lists: Annotated[bool, typer.Option("--own-lists", help="Take lists of pascal-5i and coco-20i that are not the published ones.")] = False,
    backbone: Annotated[str, typer.Option("--backbone", help="A name of `likewise weights list`.")] = "auto",
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="FILE", help="Trained weights of the method, {fold} in the name for one a fold; 'random' for none.")
    ] = None,
    trained_on: Annotated[TrainedOnName, typer.Option("--trained-on", help="What the checkpoint was trained on, for the record.")] = TrainedOnName.UNKNOWN,
    preset: Annotated[PresetName, typer.Option("--preset", help="Speed against quality.")] = PresetName.DEFAULT,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, of one method by METHOD.KEY=VALUE; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option("--engine", help="auto, torch or openvino.")] = "auto",
    features: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Keep features here. [default: $LIKEWISE_FEATURES, else OUT/features up to 8 GB]")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write records here; an evaluation that was stopped goes on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON.")] = False,
) -> None:
    """Evaluate METHOD in episodes of BENCHMARK.

    Each episode is a small task of its own: the method learns from the support images and answers the query. Exact ratio (not in nway), mIoU
    and FB-IoU are counted over all episodes, with intervals, by class, and beside published figures of the same setting. Of classes of whole
    pictures it is the accuracy, with --way, --shot, --queries, --episodes, --part and --seed; --official draws episodes as the published code.
    """
    if table == "list":
        from likewise.episodes.switches import overview

        print(overview(), end="")
        return
    for name, value in (("METHOD", method), ("BENCHMARK", benchmark)):
        if not value:
            raise UsageError(f"no {name} is named", where="evaluate", remedy="Write likewise evaluate METHOD BENCHMARK")
    from likewise.episodes import running
    from likewise.episodes.classification.opening import names_classes
    from likewise.episodes.evaluation import Contender, Setting
    from likewise.episodes.opening import open_benchmark
    from likewise.task.learning import Place

    base = Contender(
        method=method, backbone=backbone, checkpoint=checkpoint, preset=preset.value, settings=parse_settings(settings or []), place=Place(device, engine)
    )
    if names_classes(benchmark):
        asked = {"way": way, "queries": queries, "episodes": episodes, "part": part.value, "shot": _shots(shot), "seed": seed}
        _print(*_of_classes(base, benchmark, asked, lists, out, trained_on.value, official=official), out, as_json=as_json)
        return

    setting = Setting(
        part=part.value,
        way=way or 1,
        shot=_shots(shot),
        episodes=episodes or 1000,
        seed=seed,
        frame=frame.value,
        labelling=support.value,
        points=points,
        negative=negative,
        prompts=prompts.value,
        pairing=None if pairing is None else pairing.value,
        official=official,
        empty=not no_empty_masks,
        augment=augment.value,
        object_size=object_size,
    )
    if table is not None and (no_empty_masks or object_size or setting.augment != "none"):
        raise UsageError(
            "the tables of the paper have no --augment, --no-empty-masks or --object-size", where="--table", remedy="Leave them out, or leave --table out"
        )
    data = open_benchmark(
        benchmark, folds=_folds(folds), format=as_format, lists=lists, own_lists=own_lists, least=least, frame=setting.frame, official=official
    )
    contenders = running.contenders_named(method, base, support.value)
    kept, most = running.features_folder(features, out)
    job = running.Job(data, running.folds_named(fold, data), out, kept, most, trained_on.value, _Teller())
    if table is not None:
        page, records = running.run_table(job, contenders, setting, table)
    else:
        records = running.run_all(job, contenders, setting)
        page = running.page_of_all(records)
    _print(page, records, out, as_json=as_json)


def _of_classes(
    base: Contender, benchmark: str, asked: dict[str, Any], lists: Path | None, out: Path | None, trained_on: TrainedOn, *, official: bool
) -> tuple[str, list[dict[str, Any]]]:
    """Page and records of accuracy on a benchmark of classes of whole pictures."""
    from likewise.episodes import running
    from likewise.episodes.classification import running as of_classes
    from likewise.episodes.classification.answering import class_methods
    from likewise.episodes.classification.evaluation import ClassSetting, published_sampler
    from likewise.episodes.classification.opening import open_classes

    if not isinstance(asked["shot"], int):
        raise UsageError("classes of whole pictures have one number of supports each", where="--shot", remedy="Write for example --shot 5")
    data = open_classes(benchmark, lists)
    setting = ClassSetting(**{name: value for name, value in asked.items() if value is not None})
    if official:
        setting = published_sampler(setting, data.name, asked["episodes"])
    names = ",".join(class_methods()) if base.method == running.ALL else base.method
    contenders = running.contenders_named(names, base, "mask")
    records = of_classes.run_classes(of_classes.ClassJob(data, setting, out, trained_on, _Teller()), contenders)
    return of_classes.page_of_classes(records), records


def _print(page: str, records: list[dict[str, Any]], out: Path | None, *, as_json: bool) -> None:
    """The page, or the records as JSON."""
    print(json.dumps(records, indent=2) if as_json else page, end="" if not as_json else "\n")
    if out is not None:
        print(f"records are in {out}; the same command goes on or prints them again", file=sys.stderr)


class _Teller:
    """Says how far a fold is: on one line of a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, title: str, done: int, of: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{title}: {done}/{of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said > LINE_EVERY:
            self._said = time.monotonic()
            print(f"{title}: {done} of {of} episodes", file=sys.stderr, flush=True)


def _folds(text: str | None) -> int | Path | None:
    return None if text is None else int(text) if text.isdecimal() else Path(text)


def _shots(text: str) -> Any:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"{text!r} is no number of images", where="--shot", remedy="Write for example --shot 1, or --way 2 --shot 1,5")
    return int(parts[0]) if len(parts) == 1 else tuple(int(part) for part in parts)
