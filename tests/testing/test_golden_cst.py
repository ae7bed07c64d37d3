"""Golden files of CST and of the benchmarks that it shares with its baselines."""

from golden_files import agrees, each_file

from likewise.testing import golden

KINDS = ("cst_pseudomask", "cst_model", "cst_losses", "cst_kshot", "cst_metrics", "cst_data", "cst_episodes")


@each_file(*(f"{kind}*" for kind in KINDS))
def test_cst_agrees_with_the_golden_files(path):
    agrees(path)


def test_a_json_file_that_does_not_say_its_kind_is_known_by_its_name():
    assert golden.kinds.runner_of("cst_episodes_more", named=False) is golden.kinds.runner_of("cst_episodes")
    assert golden.kinds.runner_of("cst_episodes_more") is None
    assert golden.kinds.runner_of("la_coco", named=False) is None
