"""What every test shares: places of data, real weights if they are there, few threads, no network, no home folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None)  # nothing here is timed: a machine that is busy is no defect
settings.register_profile("ci", deadline=None, derandomize=True)  # the integration server judges a change, it does not search
settings.load_profile("ci" if os.environ.get("CI") else "here")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True, scope="session")
def _few_threads():
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def shared() -> Path:
    """The folder of golden files and data beside the repository; the test skips where it is not."""
    if not SHARED.exists():
        pytest.skip("../shared is not here")
    return SHARED


@pytest.fixture
def default_weights(monkeypatch) -> str:
    """The name of the default backbone if its weights are in the user's cache; nothing is downloaded by a test."""
    from likewise import weights

    for name in ("dinov2-reg-small", "dinov2-reg-small-sphere"):
        if weights.locate(name) is not None:
            monkeypatch.setenv("LIKEWISE_OFFLINE", "1")
            return name
    pytest.skip("no default weights in the cache (`likewise weights pull dinov2-reg-small`)")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """No test reaches for the network by accident."""
    if "PYTEST_ALLOW_NETWORK" not in os.environ:
        monkeypatch.setenv("LIKEWISE_OFFLINE", "1")
    assert sys.version_info >= (3, 11)
