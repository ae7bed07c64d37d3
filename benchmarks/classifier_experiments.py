"""The remarks of a lecture on meta-learning as experiments with the classic learners, one table each.

    python benchmarks/classifier_experiments.py [EXPERIMENT ...] [--runs DIR ...] [--only ROW ...] [--episodes N] [--page]

adaptation     MAML against joint pre-training and a random start, adapted by the same steps
matching       pixels, a base classifier and a matching network, with and without fine-tuning on the support
sizes          trained with as many classes and shots as it is tested with, and with others
encoders       the spread between learners behind deeper encoders
shift          test classes of the data that trained, and of others
hallucination  the same episodes with and without hallucinated examples

RUNS holds what `likewise train recipes/classifiers/NAME.toml --out RUNS/NAME` and `python benchmarks/experiment_trainings.py --runs RUNS` make; rows
whose run is not there are left out. Each cell is a journal below bench/classifier_experiments: one that was stopped goes on. The tables stand in
docs/methods/classifier_experiments.md; --page writes them of what is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import experiments_adaptation
import experiments_encoders
import experiments_hallucination
import experiments_matching
import experiments_shift
import experiments_sizes
from common import need_shared
from experiments import PAGE, Experiment, Notes, Row, Runs
from marks import between_marks

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        experiments_adaptation,
        experiments_matching,
        experiments_sizes,
        experiments_encoders,
        experiments_shift,
        experiments_hallucination,
    )
}


def measure(experiment: Experiment, rows: list[Row], only: list[str], episodes: int) -> None:
    """Fill the cells of rows, of all of them where none is named."""
    for row in rows:
        for column in row.columns if not only or row.name in only else ():
            note = row.measure(experiment.name, column, episodes)
            print(f"{experiment.name}, {row.name}, {column.name}: {note} over {len(note.each)} episodes", flush=True)


def main() -> None:
    """Fill what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    parser.add_argument("--runs", type=Path, nargs="+", default=[Path("runs")], metavar="DIR")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW")
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--page", action="store_true", help="write the page of what is there, measure nothing")
    asked = parser.parse_args()
    if strange := set(asked.experiments) - set(EXPERIMENTS):
        parser.error(f"there is no experiment {sorted(strange)[0]!r}; there are {', '.join(EXPERIMENTS)}")
    need_shared()
    torch.set_num_threads(1)
    for name in asked.experiments or EXPERIMENTS:
        experiment = EXPERIMENTS[name]
        rows = experiment.rows(Runs(asked.runs))
        if not asked.page:
            measure(experiment, rows, asked.only, asked.episodes)
        if PAGE.is_file():
            between_marks(PAGE, name, experiment.lines(Notes(name, rows)))


if __name__ == "__main__":
    main()
