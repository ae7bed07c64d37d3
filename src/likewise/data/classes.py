"""The table of classes: numbers from 1, names, and the colours they are shown in."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError, close_match

MAX_CLASSES = 32_766  # label maps are int16 with -1 for ignore
MAX_NAME = 200  # characters; longer names are a sign of a wrong file
_HIDDEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of pairs, and breaks of lines and paragraphs


@dataclass(frozen=True)
class ClassTable:
    """Classes by number: `names[number] = name`, numbers from 1 with gaps allowed, names distinct.

    >>> table = ClassTable({1: "crack", 3: "stain"})
    >>> table.number("stain"), table.index(3), len(table)
    (3, 2, 2)
    """

    names: Mapping[int, str]

    def __post_init__(self) -> None:
        names: dict[int, str] = {}
        for key in sorted(self.names, key=int):
            number, name = int(key), self.names[key]
            _check(number, name)
            names[number] = unicodedata.normalize("NFC", name.strip())
        twice = next((name for name, count in Counter(names.values()).items() if count > 1), None)
        if twice is not None:
            raise InputError(f"the class name {twice!r} stands for two numbers", where="classes", remedy="Give each class its own name")
        object.__setattr__(self, "names", names)

    @classmethod
    def of(cls, classes: ClassTable | Mapping[int, str] | Iterable[str] | None) -> ClassTable:
        """A table from what people write: a mapping, a list of names (numbered from 1), or nothing."""
        if isinstance(classes, ClassTable):
            return classes
        if classes is None:
            return cls({})
        if isinstance(classes, Mapping):
            try:
                return cls({int(key): name for key, name in classes.items()})
            except (TypeError, ValueError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(
                    f"class numbers must be whole numbers: {error}", where="classes", remedy='Write classes as {1: "crack", 2: "stain"}'
                ) from error
        return cls({index + 1: name for index, name in enumerate(classes)})

    @classmethod
    def named_by(cls, keys: Iterable[int | str]) -> ClassTable:
        """A table of the classes that labels name: numbers keep theirs, names get the free ones in order of appearance.

        >>> dict(ClassTable.named_by(["cat", 1, "dog"]).names)
        {1: 'class 1', 2: 'cat', 3: 'dog'}
        """
        given = dict.fromkeys(keys)
        names = {int(key): f"class {int(key)}" for key in given if not isinstance(key, str)}
        free = (number for number in range(1, MAX_CLASSES + 1) if number not in names and number != 255)
        names.update(zip(free, (key for key in given if isinstance(key, str)), strict=False))
        return cls(names)

    def number(self, key: int | str) -> int:
        """The number of a class given by number or name; InputError names the closest match."""
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            if int(key) in self.names:
                return int(key)
        elif isinstance(key, str):
            wanted = unicodedata.normalize("NFC", key.strip())
            for number, name in self.names.items():
                if name == wanted:
                    return number
        raise InputError(f"there is no class {key!r}", where="classes", remedy=close_match(str(key), self.names.values()))

    def index(self, key: int | str) -> int:
        """The place (1..N) of a class among the scores; 0 is the background."""
        return list(self.names).index(self.number(key)) + 1

    @property
    def numbers(self) -> tuple[int, ...]:
        """Class numbers in the order of the scores."""
        return tuple(self.names)

    @property
    def dtype(self) -> type[np.uint8] | type[np.int16]:
        """The type of a label map: uint8 with 255 for ignore, or int16 with -1 where numbers exceed 254."""
        return np.int16 if max(self.names, default=0) > 254 else np.uint8

    @property
    def ignore(self) -> int:
        """The value for "ignore" in label maps of this table."""
        return -1 if self.dtype is np.int16 else 255

    def __getitem__(self, number: int) -> str:
        return self.names[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, number: object) -> bool:
        return number in self.names


# twelve colours that are told apart on photographs, light and dark; further classes follow the rule of Pascal VOC's tools
_FIRST: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (255, 59, 48),
    (0, 162, 255),
    (76, 217, 100),
    (255, 204, 0),
    (199, 0, 255),
    (255, 128, 0),
    (0, 229, 216),
    (255, 105, 180),
    (150, 220, 0),
    (120, 94, 240),
    (170, 110, 40),
    (0, 128, 96),
)


def palette(count: int = 256) -> NDArray[np.uint8]:
    """Distinct colours (count, 3) uint8; row 0 is black."""
    colours = voc_palette(count)
    colours[: len(_FIRST)] = _FIRST[:count]
    return colours


def voc_palette(count: int = 256) -> NDArray[np.uint8]:
    """The colours (count, 3) uint8 of Pascal VOC's tools: three bits of the number at a time go to red, green and blue, the lowest first."""
    index = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def _check(number: int, name: object) -> None:
    if not 1 <= number <= MAX_CLASSES:
        raise InputError(f"class number {number} is outside 1..{MAX_CLASSES}", where="classes", remedy="Number classes from 1; 0 is the background")
    if number == 255:
        raise InputError("class number 255 is kept for 'ignore'", where="classes", remedy="Give this class another number")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"class {number} has no name", where="classes", remedy='Write classes as {1: "crack"}')
    if len(name) > MAX_NAME:
        raise InputError(
            f"the name of class {number}, {name[:20]!r}..., has {len(name)} characters, at most {MAX_NAME} are taken", where="classes", remedy="Shorten it"
        )
    hidden = next((letter for letter in name.strip() if unicodedata.category(letter) in _HIDDEN), None)
    if hidden is not None:
        told = f"the name of class {number}, {name[:80]!r}, has the character {hidden!r}, which cannot be shown"
        raise InputError(told, where="classes", remedy="Write the name without control characters and line breaks")
