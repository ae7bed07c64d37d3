"""Golden files of VTM."""

import pytest
from golden_files import agrees, each_file


@each_file("vtm_*.npz", wanted=lambda stem: not stem.startswith("vtm_full"))
def test_vtm_agrees_with_the_golden_files(path):
    agrees(path)


@pytest.mark.slow
@each_file("vtm_full*.npz")
def test_vtm_of_the_published_size_agrees_with_the_golden_file(path):
    agrees(path)
