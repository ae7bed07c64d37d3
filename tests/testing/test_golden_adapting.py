"""Golden files of the learners that adapt to a support, and of hallucinated features."""

from golden_files import agrees, each_file

KINDS = ("maml", "cosine_head", "finetune", "db_index", "analogy", "shrink", "kmeans", "hallucinator")


@each_file(*(f"fs_{kind}_*" for kind in KINDS))
def test_adapting_learners_and_hallucination_agree_with_the_golden_files(path):
    agrees(path)
