"""What is known of classes without an image: as many numbers for each, attributes or any embedding of their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data.classes import ClassTable
from likewise.errors import InputError

Row = NDArray[np.floating[Any]]
ClassVectors = Mapping[int, Row] | Mapping[str, Row] | Mapping[int | str, Row]  # by number, by name, or both


def checked_vectors(vectors: ClassVectors, classes: ClassTable) -> dict[int, NDArray[np.float32]]:
    """Vectors (A,) by the number of their class. InputError for a class that is not there, and for vectors that are none or of several lengths."""
    found: dict[int, NDArray[np.float32]] = {}
    for key, values in vectors.items():
        number = classes.number(key)
        vector = np.array(values, np.float32)
        if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
            raise InputError("its vector is no row of finite numbers", where=f"class_vectors: {key}", remedy="Give numbers, as many for each class")
        if number in found:
            raise InputError("it has two vectors", where=f"class_vectors: {key}", remedy="Give each class one")
        found[number] = vector
    lengths = {len(vector) for vector in found.values()}
    if len(lengths) > 1:
        told = " and ".join(str(length) for length in sorted(lengths)[:3])
        raise InputError(f"some classes have {told} numbers", where="class_vectors", remedy="Give as many for each class")
    return found


def joined_vectors(one: Mapping[int, NDArray[np.float32]], other: Mapping[int, NDArray[np.float32]], classes: ClassTable) -> dict[int, NDArray[np.float32]]:
    """Both as one. InputError for a class with two vectors that differ, and for vectors of several lengths."""
    for number in one.keys() & other.keys():
        if not np.array_equal(one[number], other[number]):
            raise InputError("the class has another vector already", where=classes.names[number], remedy="Learn anew from the vectors that count")
    return checked_vectors(dict(one) | dict(other), classes)
