"""Golden files of the light systems to compare with: INSID3's algorithm, convpaint's features and rows."""

from golden_files import agrees, each_file


@each_file("peer_insid3_*", "peer_convpaint_*")
def test_the_golden_files_of_peers_agree(path):
    agrees(path)
