"""What a report says of the task: kept beside the run, so that shards can be joined where the task is not."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.data import ClassTable, OutputKind
from likewise.errors import OutputError
from likewise.labelling.chosen import chosen_rows
from likewise.labelling.gallery import thumbnail
from likewise.labelling.lines import write_atomically

if TYPE_CHECKING:
    from likewise.task import Task

FILE = "about.json"
SUPPORT_SHOWN = 60  # examples


@dataclass(frozen=True, kw_only=True)
class About:
    """Plain values about a task.

    classes: {number: name}; units: {target: unit}; whole: whether it gives classes of whole images; chosen: what the method chose, in words;
    weights: {role: {"name", "sha256"}}; examples: how many; support: the first of them as {"name", "source"}, a picture as a data URI;
    decides: whether images are to be looked at by a rule (`Task.decide`).
    """

    classes: Mapping[int, str]
    units: Mapping[str, str]
    whole: bool
    method: str
    settings: Mapping[str, Any]
    chosen: list[tuple[str, str]]
    weights: Mapping[str, Mapping[str, str]]
    examples: int
    left_out: Mapping[str, Mapping[str, Any]]
    support: list[Mapping[str, str]] = field(default_factory=list)
    pictures: int = 0
    decides: bool = False

    @classmethod
    def of(cls, task: Task) -> About:
        """What there is to say of a task."""
        manifest = task.manifest
        return cls(
            classes=dict(task.classes.names),
            units={name: target.unit for name, target in task.targets.items()},
            whole=OutputKind.CLASS in task.method.gives,
            method=manifest["method"],
            settings=manifest["settings"],
            chosen=chosen_rows(manifest["facts"], task.classes.names),
            weights=manifest["weights"],
            examples=len(manifest["examples"]),
            left_out=task.left_out,
            support=[{"name": shot.name, "source": data_uri(thumbnail(shot.image, shot.labels))} for shot in task.thumbnails[:SUPPORT_SHOWN]],
            pictures=len(task.thumbnails),
            decides=bool(task.rules),
        )

    @property
    def table(self) -> ClassTable:
        """The classes as a table."""
        return ClassTable(dict(self.classes))

    def write(self, folder: Path) -> None:
        """Keep it in a folder."""
        write_atomically(folder / FILE, (json.dumps(dataclasses.asdict(self), ensure_ascii=True, indent=1) + "\n").encode("ascii"))

    @classmethod
    def read(cls, folder: Path) -> About:
        """What was kept in a folder; OutputError where it is gone or was edited."""
        try:
            record = json.loads((folder / FILE).read_bytes())
            record["classes"] = {int(number): name for number, name in record["classes"].items()}
            record["chosen"] = [(what, choice) for what, choice in record["chosen"]]
            return cls(**record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError("what the run says of its task is gone or was edited", where=str(folder / FILE), remedy="Label this part again") from error


def data_uri(jpeg: bytes) -> str:
    """A picture that stands in a page itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
