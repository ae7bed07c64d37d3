"""What the experiments with classic learners need beside the recipes as they are: the same recipes with some values changed.

    python benchmarks/experiment_trainings.py [--runs DIR] [--only NAME ...] [--list]

Trains one after another into RUNS/NAME and goes on where it was stopped; `--list` prints for each the command that trains it alone. Those
named `pictures-*` differ in the ways and shots of their episodes and see as many pictures each, those named `episodes-*` have as many
episodes each; none is chosen by its validation, which is at the end alone.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch

from likewise.training.loop import train
from likewise.training.recipe import read_recipe
from likewise.training.watching import Console

RECIPES = Path(__file__).parents[1] / "recipes" / "classifiers"
WAYS, SHOTS, QUERIES = (5, 20, 60), (1, 5), 5
PICTURES, EPISODES = 120_000, 400  # a training sees
DEEPER = ("conv6", "resnet10")  # beside conv4, whose trainings are the recipes as they are
DEEP_LEARNERS = ("baseline", "prototypical", "matching", "baseline-plus")


@dataclass(frozen=True)
class Training:
    """A recipe by its name, and what is changed in it; `{runs}` stands for the folder of the runs."""

    name: str
    recipe: str
    changes: tuple[str, ...]

    def changed(self, runs: Path) -> list[str]:
        """What is changed, with the folder of the runs in its place."""
        return [change.format(runs=runs) for change in self.changes]

    def command(self, runs: Path) -> str:
        """What trains it alone."""
        return " ".join(("likewise train", f"recipes/classifiers/{self.recipe}.toml", *self.changed(runs), f"--out {runs / self.name}"))


def episodes_for(pictures: int, way: int, shot: int, queries: int = QUERIES) -> int:
    """How many episodes show so many pictures, at least one.

    >>> episodes_for(120_000, 5, 1), episodes_for(120_000, 60, 5)
    (4000, 200)
    """
    return max(1, round(pictures / (way * (shot + queries))))


def sized(learner: str, way: int, shot: int, rule: str) -> Training:
    """A learner on characters in episodes of some size; rule: "pictures" or "episodes", whichever is the same for all sizes."""
    count = episodes_for(PICTURES, way, shot) if rule == "pictures" else EPISODES
    changes = (f"classes.way={way}", f"classes.shot={shot}", f"episodes={count}", f"validation.every={count}")
    return Training(f"{rule}-{learner}-{way}-{shot}", f"{learner}-omniglot", changes)


def deeper(learner: str, encoder: str) -> Training:
    """A learner on photographs with another encoder; those of episodes begin with the encoder of Baseline, as with conv4."""
    start = () if learner.startswith("baseline") else ("method.start={runs}/" + f"baseline-{encoder}-caltech/best.safetensors",)
    return Training(f"{learner}-{encoder}-caltech", f"{learner}-caltech", (f"method.encoder={encoder}", *start))


SIZED = {(rule, learner): [sized(learner, way, shot, rule) for shot in SHOTS for way in WAYS] for rule, learner in
         (("pictures", "prototypical"), ("pictures", "matching"), ("episodes", "prototypical"))}  # fmt: skip
DEEP = [deeper(learner, encoder) for encoder in reversed(DEEPER) for learner in DEEP_LEARNERS]
TRAININGS = [*SIZED["pictures", "prototypical"], *DEEP[:4], *SIZED["episodes", "prototypical"], *SIZED["pictures", "matching"], *DEEP[4:]]


def main() -> None:
    """Train what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the commands, train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for training in TRAININGS:
        if asked.only and training.name not in asked.only:
            continue
        print(training.command(asked.runs), flush=True)
        if not asked.list:
            outcome = train(read_recipe(RECIPES / f"{training.recipe}.toml", training.changed(asked.runs)), asked.runs / training.name, watcher=Console())
            print(f"{training.name}: loss {outcome.losses[0]:.3f} to {outcome.losses[1]:.3f}, {outcome.best}", flush=True)


if __name__ == "__main__":
    main()
