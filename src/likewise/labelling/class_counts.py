"""How often the class of a whole image was right, counted image by image."""

from __future__ import annotations

from typing import Any

from likewise.functional.shares import share_interval

MIXED_SHOWN = 5  # pairs of classes that were taken for each other


class ClassCounts:
    """Images by their true class and the one that was said."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str | None], int] = {}

    def add(self, true: str, said: str | None) -> None:
        """Count an image; true: its class, "" where it shows none that the task knows; said: None for none of these."""
        self._pairs[true, said] = self._pairs.get((true, said), 0) + 1

    @property
    def count(self) -> int:
        """All images."""
        return sum(self._pairs.values())

    def scores(self) -> dict[str, Any]:
        """Scores as plain values.

        accuracy, interval: the share of the images of known classes that are right, with the 95 % interval of it (Wilson), None without any;
        refused: how many of these are said to be none of the classes; right: [right, of] by class; none: [said to be none, of] of the images that show
        none of the classes; mixed: [true, said, images] of the commonest errors.
        """
        names = sorted({true for true, _ in self._pairs if true})
        right = {name: [self._pairs.get((name, name), 0), sum(n for (true, _), n in self._pairs.items() if true == name)] for name in names}
        hits, of = (sum(pair[place] for pair in right.values()) for place in (0, 1))
        wrong = sorted(
            ((n, true, said) for (true, said), n in self._pairs.items() if true and said is not None and said != true), key=lambda each: (-each[0], each[1:])
        )
        return {
            "accuracy": round(hits / of, 6) if of else None,
            "interval": [round(edge, 6) for edge in share_interval(hits, of)] if of else None,
            "refused": sum(n for (true, said), n in self._pairs.items() if true and said is None),
            "right": right,
            "none": [self._pairs.get(("", None), 0), sum(n for (true, _), n in self._pairs.items() if not true)],
            "mixed": [[true, said, n] for n, true, said in wrong[:MIXED_SHOWN]],
        }
