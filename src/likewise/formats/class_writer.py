"""Classes of whole images as a run writes them: labels.csv and, on request, a copy of every image in the folder of its class."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likewise.data import ClassTable, Prediction
from likewise.data.prediction import NONE_WORD
from likewise.files import replacing, said_where
from likewise.formats import overlays
from likewise.formats.class_table import FILE, encoded
from likewise.formats.files import atomic_file, name_inside, write_atomic
from likewise.formats.spread import FOLDER as LABELS
from likewise.formats.spread import spread

FOLDER = "folders"  # below the output folder, so that no class can have the name of a file of the run
FORMATS = ("csv", FOLDER)
_UNSAFE = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]|^[. ]|[. ]$')
_DEVICES = re.compile(r"^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d\u00b9\u00b2\u00b3])\s*(\..*)?$", re.IGNORECASE)
_LONGEST = 200  # bytes of a folder's name, of the 255 that file systems take


@dataclass(frozen=True)
class ClassWriter:
    """Writes the classes of a run: in the format "folders" copies, an image at a time, and in both labels.csv at the end."""

    format: str
    out: Path
    classes: ClassTable
    overlay: bool = False
    spread: bool = False

    def planned(self, name: str) -> list[Path]:
        """Every file that `write(name, ...)` may write, relative to the output folder; of the copies it writes one at most."""
        name_inside(name)
        copies = [Path(FOLDER, folder, self._spread(name)) for folder in folder_names(self.classes).values()] if self.format == FOLDER else []
        return [*copies, *([self._overlay(name)] if self.overlay else [])]

    def write(self, name: str, prediction: Prediction) -> list[Path]:
        """Copy an image into the folder of its class, and write its overlay, as asked for; the files, relative to the output folder."""
        name_inside(name)
        if self.overlay:
            write_atomic(self.out / self._overlay(name), overlays.encode(prediction))
        return [*self._copied(name, prediction), *([self._overlay(name)] if self.overlay else [])]

    def _spread(self, name: str) -> str:
        return spread(name) if self.spread else name

    def _overlay(self, name: str) -> Path:
        return Path(f"{LABELS if self.spread else ''}{self._spread(name)}{overlays.ENDING}")

    def _copied(self, name: str, prediction: Prediction) -> list[Path]:
        if self.format != FOLDER or not isinstance(prediction.image, str | os.PathLike):
            return []
        path = Path(FOLDER, folder_names(self.classes)[prediction.label or NONE_WORD], self._spread(name))
        target = self.out / path
        with said_where(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as draft:
                shutil.copyfile(prediction.image, draft)
        return [path]

    def finish(self, lines: Iterable[Mapping[str, Any]] = ()) -> list[Path]:
        """Write labels.csv of the lines of the run; the files written, relative to the output folder."""
        with atomic_file(self.out / FILE) as stream:
            for part in encoded((line for line in lines if not line.get("sure")), self.classes):
                stream.write(part)
        return [Path(FILE)]


def folder_names(classes: ClassTable) -> dict[str, str]:
    """Class -> the name of its folder, `_none` for none of them: what file systems refuse is written as %XX, and names that differ in case alone get a number.

    >>> folder_names(ClassTable({1: "cat/dog", 2: "Cow", 3: "cow", 4: "..", 5: "nul"}))
    {'_none': '_none', 'cat/dog': 'cat%2Fdog', 'Cow': 'Cow', 'cow': 'cow~3', '..': '%2E%2E', 'nul': '%6Eul'}
    """
    safe_names = {number: _safe(name) for number, name in classes.names.items()}
    found, taken = {NONE_WORD: NONE_WORD}, {NONE_WORD}
    reserved = {safe.casefold() for safe in safe_names.values()}
    for number, name in classes.names.items():
        safe = safe_names[number]
        while safe.casefold() in taken or (safe != safe_names[number] and safe.casefold() in reserved):
            safe = f"{safe}~{number}"
        taken.add(safe.casefold())
        found[name] = safe
    return found


def _safe(name: str) -> str:
    """A class as the name of a folder that every file system takes; of one that is too long, its beginning and its hash."""
    safe = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), name)
    safe = f"%{ord(safe[0]):02X}{safe[1:]}" if _DEVICES.match(safe) or safe == NONE_WORD else safe
    if len(safe.encode()) <= _LONGEST:
        return safe
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{safe.encode()[: _LONGEST - 13].decode('utf-8', 'ignore')}~{mark}"
