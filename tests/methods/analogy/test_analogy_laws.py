"""The conformance laws hold with fitted read-outs too, chosen beside the tokens or forced."""

import pytest

from likewise.methods.analogy import conv, pixel
from likewise.task import learn
from likewise.testing import conformance

PIXEL = {"sides": (112,), "readouts": ("tokens", "pixel"), "pixels": 256, "pixel_steps": 10}
CONV = {"sides": (112,), "readouts": ("conv",), "pixels": 256, "conv_steps": 8}
FITTED = (
    "learning twice gives the same bytes",
    "permuted classes permute the answer",
    "saving and loading change nothing",
    "the global random state is untouched",
)


def parts(settings):
    """The read-outs that the suite's support chooses."""
    support = conformance.support_of("analogy")
    return learn(support, backbone=conformance.BACKBONE, device="cpu", engine="torch", **settings).memory.facts["parts"]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    """So few pixels and so small crops that a read-out is fitted in no time on one thread."""
    for module, name, value in ((pixel, "ROWS", 12_000), (pixel, "_BATCH", 1024), (conv, "_CROP", 48), (conv, "_BATCH", 4)):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("law", conformance.LAWS)
def test_the_pixel_readout_keeps_the_law(law):
    assert conformance.check_law("analogy", law, **PIXEL) is None


@pytest.mark.parametrize("law", FITTED)
def test_the_convolutional_readout_keeps_the_law(law):
    assert conformance.check_law("analogy", law, **CONV) is None


def test_the_laws_are_checked_on_what_they_are_meant_for():
    assert "pixel" in parts(PIXEL)
    assert set(parts(CONV)) == {"conv"}
