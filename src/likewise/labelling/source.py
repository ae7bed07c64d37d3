"""The task that a labelling run uses: learned from examples, or opened from its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from likewise.data.channels import Channels
from likewise.data.example import Unlabelled
from likewise.errors import UsageError
from likewise.formats import ImageList, list_images, list_paths, read_support

if TYPE_CHECKING:
    from likewise.backbones import FeatureStore
    from likewise.task import Task

TASK_ENDING = ".task"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What to label like, and how to learn it. None leaves a choice to the program.

    path: examples in any format that `likewise.formats` reads, or a task file; format, split, unlabelled, channels: of the examples;
    max_miss: the share of the images that show a class that may be missed; method, backbone, checkpoint, preset, settings, instances: for learning, so
    not together with a task file; device, engine, precision: where to run;
    cache: what keeps features between runs.
    """

    path: Path
    format: str | None = None
    split: str | None = None
    unlabelled: Unlabelled | None = None
    channels: Channels | None = None
    method: str | None = None
    backbone: str | None = None
    checkpoint: str | None = None
    preset: Literal["fast", "default", "best"] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    instances: str = "auto"
    max_miss: float | None = None
    device: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    cache: FeatureStore | None = None

    def open(self) -> tuple[Task, str]:
        """The task, and a sentence that says what was read. Raises UsageError for options that do not go with a task file."""
        from likewise import task

        if self.path.suffix == TASK_ENDING:
            self._refuse_learning()
            opened = task.load(self.path, device=self.device, engine=self.engine, precision=self.precision, cache=self.cache)
            if self.max_miss is not None:
                opened.decide(self.max_miss)
            return opened, f"{self.path.name}: a task of {len(opened.support)} examples"
        otherwise = task.format_otherwise(self.method)
        read = read_support(self.path, format=self.format, split=self.split, unlabelled=self.unlabelled, channels=self.channels, otherwise=otherwise)
        learned = task.learn(
            read.support,
            method=self.method or task.usual_method(read.support),
            backbone=self.backbone or "auto",
            checkpoint=self.checkpoint,
            device=self.device,
            preset=self.preset or "default",
            engine=self.engine,
            precision=self.precision,
            cache=self.cache,
            instances=self.instances,
            max_miss=self.max_miss,
            **self.settings,
        )
        return learned, read.sentence

    def images(self, path: Path | None, split: str | None, listed: Path | None = None) -> ImageList:
        """The images to label: of a list of paths relative to `path`, or all of `path`; the examples' own folder is read in their format.

        Raises UsageError where neither is given, or both a list and a split.
        """
        if listed is not None:
            if split is not None:
                raise UsageError("a list of paths has no split", where="--split", remedy="Leave out one of --list and --split")
            return list_paths(listed, path)
        if path is None:
            raise UsageError("there is nothing to label", where="IMAGES", remedy="Give the folder of the images, or a list of their paths by --list")
        same = path.resolve() == self.path.resolve()
        return list_images(path, format=self.format if same else None, split=split)

    def _refuse_learning(self) -> None:
        fixed = {
            "--method": self.method,
            "--backbone": self.backbone,
            "--checkpoint": self.checkpoint,
            "--preset": self.preset,
            "--set": " ".join(f"{name}={value}" for name, value in self.settings.items()) or None,
            "--as": self.format,
            "--instances": None if self.instances == "auto" else self.instances,
            "--unlabelled": self.unlabelled,
            "--channels": None if self.channels is None else ",".join(map(str, self.channels.numbers)),
        }
        for option, value in fixed.items():
            if value is not None:
                raise UsageError(
                    f"{self.path.name} is learned already; {option} {value} cannot change it",
                    where=option,
                    remedy="Leave the option out, or give the examples instead of the task",
                )
