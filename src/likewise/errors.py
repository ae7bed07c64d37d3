"""What can go wrong, for people and for programs.

    LikewiseError                exit 1   a defect of ours unless it is one of these
    ├── UsageError (ValueError)  exit 2   an option, name or setting that does not exist or does not fit
    │   ├── MissingExtraError    exit 2   an optional package is needed
    │   └── OutputError          exit 2   the output folder belongs to another run, or something would be overwritten
    ├── WeightsError             exit 3   weights are not there, or not the ones that were expected
    ├── InputError (ValueError)  exit 4   a file or array of the user cannot be used
    │   ├── ImageError           exit 4   an image cannot be read
    │   └── TaskFileError        exit 4   a task file is broken, foreign or too new
    └── PartialFailureError      exit 5   the run is done, but some images failed

Every message says what is wrong, where, and what to do; the three parts are attributes, so that a terminal, an
HTTP answer and a manifest say the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

LISTED, MATCHED, LONGEST = 60, 2000, 200  # known names that a hint lists and compares, and letters of a name that it looks at


class LikewiseError(Exception):
    """The base of every error that Likewise raises on purpose.

    what: the problem in a clause; where: the file, field or option; remedy: what the person can do.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}. {self.remedy}" if self.remedy else head

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


class UsageError(LikewiseError, ValueError):
    """An option, name or setting that does not exist or does not fit the others."""

    exit_code = 2


class MissingExtraError(UsageError):
    """An optional package is needed for what was asked."""


class OutputError(UsageError):
    """The place to write to belongs to something else; nothing was overwritten."""


class WeightsError(LikewiseError):
    """Weights are missing, or are not the ones they should be."""

    exit_code = 3


class InputError(LikewiseError, ValueError):
    """A file, array or field handed in by the user cannot be used."""

    exit_code = 4


class ImageError(InputError):
    """An image cannot be read safely."""


class TaskFileError(InputError):
    """A task file is truncated, edited, foreign, or newer than this program."""


class PartialFailureError(LikewiseError):
    """A run came to its end, but some images could not be labelled."""

    exit_code = 5


def _rebuild(kind: type[LikewiseError], what: str, where: str, remedy: str) -> LikewiseError:
    return kind(what, where=where, remedy=remedy)


def close_match(name: str, known: Iterable[str]) -> str:
    """A hint that names what was probably meant, else all that is known.

    >>> close_match("ridg", ["ridge", "nearest"])
    "did you mean 'ridge'? Known: nearest, ridge"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name[:LONGEST], names[:MATCHED], n=1)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    listed = "Known: " + ", ".join(names[:LISTED]) + more if names else "none are known"
    return f"did you mean {near[0]!r}? {listed}" if near else listed
