"""Golden files of MM-Former."""

import pytest
from golden_files import agrees, each_file


@each_file("mm_*.npz", wanted=lambda stem: not stem.startswith("mm_model_full"))
def test_mm_former_agrees_with_the_golden_files(path):
    agrees(path)


@pytest.mark.slow
@each_file("mm_model_full*.npz")
def test_mm_former_of_the_published_size_agrees_with_the_golden_file(path):
    agrees(path)
