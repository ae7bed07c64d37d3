"""Golden files of EMAT."""

from golden_files import agrees, each_file


@each_file("peer_emat*")
def test_emat_agrees_with_the_golden_files(path):
    agrees(path)
