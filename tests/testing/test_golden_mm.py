"""Golden files of MM-Former."""

import pytest
from golden_files import agrees, compared, each_file

from likewise.backbones.engines import has_bfloat16


@each_file("mm_*.npz", wanted=lambda stem: not stem.startswith("mm_model_full"))
def test_mm_former_agrees_with_the_golden_files(path):
    result = compared(path)
    if path.stem == "mm_train_stage2" and result.detail.startswith("out.grad_") and has_bfloat16():
        pytest.skip("its gradient hangs on the last bits of cosines (`golden.mm_model.training`), and processors with bfloat16 round them otherwise")
    assert result.status == "pass", result.detail


@pytest.mark.slow
@each_file("mm_model_full*.npz")
def test_mm_former_of_the_published_size_agrees_with_the_golden_file(path):
    agrees(path)
