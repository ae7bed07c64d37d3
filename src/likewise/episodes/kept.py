"""Values that are made once and kept in memory while they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key, up to `limit` bytes in all; those that were not asked for longest go first."""

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        """size: the bytes of a value."""
        self._limit, self._size, self._held, self._values = limit, size, 0, OrderedDict[Hashable, Value]()

    def __call__(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not here."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        made = make()
        self._values[key] = made
        self._held += self._size(made)
        while self._held > self._limit and len(self._values) > 1:
            self._held -= self._size(self._values.popitem(last=False)[1])
        return made
