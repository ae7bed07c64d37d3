"""Golden files of Label Anything."""

import pytest
from golden_files import agrees, each_file


@each_file("la_*.npz", wanted=lambda stem: not stem.startswith("la_full"))
def test_label_anything_agrees_with_the_golden_files(path):
    agrees(path)


@pytest.mark.slow
@each_file("la_full*.npz")
def test_label_anything_of_the_published_size_agrees_with_the_golden_file(path):
    agrees(path)
