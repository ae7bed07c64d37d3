"""Many files in few folders: below a folder named by the hash of their own name.

    left/0007 -> 4f/left/0007

256 folders, the first two digits of the SHA-256 of NAME. Whether a collection of files lies so can be seen from it: each lies where its name says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from likewise.formats.dataset import without_ending

FOLDER = "labels/"  # of what would stand in the root of a run


def spread(name: str) -> str:
    """A name below the folder of its hash.

    >>> spread("left/0007")
    '4f/left/0007'
    """
    return f"{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:2]}/{name}"


def plain(name: str) -> str:
    """The name that a path stands for, without the folder of its hash where it lies in such: the inverse of `spread`.

    >>> plain(spread("left/0007")), plain("ab/left/0007")
    ('left/0007', 'ab/left/0007')
    """
    rest = name.removeprefix(FOLDER)
    inner = rest.partition("/")[2]
    return inner if inner and spread(inner) == rest else name


def lies_spread(files: Iterable[str]) -> bool:
    """Whether every path of labels lies in the folder of its hash, and there is one; the first that does not ends the look."""
    some = False
    for name in map(without_ending, files):
        if plain(name) == name:
            return False
        some = True
    return some


def plain_names(files: Collection[str]) -> dict[str, str]:
    """Name -> file, for paths of labels: without ending, and without the folder of its hash if every one of them lies in such."""
    spread_out = lies_spread(files)
    return {plain(bare) if spread_out else bare: file for bare, file in ((without_ending(file), file) for file in files)}
