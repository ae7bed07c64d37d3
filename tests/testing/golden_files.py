"""Golden files as parameters of tests, and the one thing that is asked of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from likewise.testing import golden
from likewise.testing.golden.case import Folders

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden"
ABSENT = pytest.param(None, id="none", marks=pytest.mark.skip(reason="../shared/golden is not there"))


def each_file(*patterns: str, wanted: Callable[[str], bool] = lambda stem: True) -> pytest.MarkDecorator:
    """A test for each golden file that a pattern fits and whose name is wanted, as `path`; one that is skipped, with the reason, where there are none."""
    files = [path for pattern in patterns for path in sorted(GOLDEN.glob(pattern)) if wanted(path.stem)]
    return pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in files] or [ABSENT])


def compared(path: Path) -> golden.Result:
    """What the runner of a golden file says of it."""
    return golden.run_file(path, Folders.around(GOLDEN))


def agrees(path: Path) -> None:
    """Fail with what disagrees, unless a golden file passes within its tolerance."""
    result = compared(path)
    assert result.status == "pass", result.detail
