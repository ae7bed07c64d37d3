"""Golden files of PANet and PFENet."""

from golden_files import agrees, each_file


@each_file("cst_panet*", "cst_pfenet*")
def test_prototypes_and_priors_agree_with_the_golden_files(path):
    agrees(path)
