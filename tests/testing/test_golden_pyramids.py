"""Golden files of HSNet, ASNet and of what they read of a residual network."""

from golden_files import agrees, each_file


@each_file("cst_taps*", "cst_hsnet*", "cst_asnet*")
def test_pyramids_agree_with_the_golden_files(path):
    agrees(path)
