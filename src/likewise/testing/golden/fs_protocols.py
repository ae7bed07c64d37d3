"""Golden files of the protocols of few-shot classification (`fs_episodes_*`, `fs_interval_*`, `fs_omniglot_images_*`, `fs_lake_runs_*`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from likewise.episodes.classification.omniglot import OneShotRun
from likewise.testing.golden.case import Case
from likewise.testing.golden.kinds import Skip


def episodes(case: Case) -> Mapping[str, Any]:
    """Classes, supports and queries of the published samplers, exactly."""
    from likewise.episodes.classification.sampling import Draw, closer_look_episodes, prototypical_episodes

    config = case.config
    sizes = config["sizes"] if "sizes" in config else [config["items"]] * config["classes"]
    draw = Draw(sizes, config["way"], config["shot"], config["query"])
    sampler = {"protonet": prototypical_episodes, "closer_look": closer_look_episodes}[config["form"]]
    drawn = list(sampler(draw, config["episodes"], case.seed))
    return {name: np.stack([getattr(episode, name) for episode in drawn]) for name in ("classes", "support", "query")}


def interval(case: Case) -> Mapping[str, Any]:
    """The mean of accuracies and its half-widths by three rules."""
    from likewise.functional.intervals import Rule, mean_interval
    from likewise.testing.golden.fs_inputs import array_of

    rules: dict[str, Rule] = {"closer_look": "population", "protonet": "sample", "relation": "student"}
    values = array_of(case, "accuracies")
    return {"mean": mean_interval(values).mean} | {name: mean_interval(values, rule).half for name, rule in rules.items()}


def omniglot_images(case: Case) -> Mapping[str, Any]:
    """Drawings as three code bases prepare them."""
    from likewise.episodes.classification.drawings import closer_look_drawing, maml_drawing, prototypical_drawing
    from likewise.episodes.classification.omniglot import read_characters

    drawings = read_characters(_packed(case), case.config["part"]).ink(case.config["rows"])
    return {
        "protonet": np.array([[prototypical_drawing(ink, turns) for turns in range(4)] for ink in drawings]).astype(np.uint8),
        "maml": np.array([255 * (1 - maml_drawing(ink)) for ink in drawings]).astype(np.uint8),
        "closer_look": np.array([closer_look_drawing(ink)[0] for ink in drawings]),
    }


def lake_runs(case: Case) -> Mapping[str, Any]:
    """Errors of the modified Hausdorff baseline in the one-shot runs, and its costs in the first."""
    from likewise.episodes.classification.omniglot import hausdorff_costs

    runs = one_shot_runs(case)
    costs = [hausdorff_costs(run) for run in runs]
    return {"error": np.array([run.error(cost.argmin(axis=1)) for run, cost in zip(runs, costs, strict=True)]), "cost_run0": costs[0]}


def one_shot_runs(case: Case) -> list[OneShotRun]:
    """The one-shot runs beside the golden files."""
    from likewise.episodes.classification.omniglot import read_runs

    return read_runs(_packed(case))


def _packed(case: Case) -> Path:
    """The packed file of characters; Skip where it is not there."""
    path = case.folders.data / "omniglot_mini" / "omniglot_mini.npz"
    if not path.is_file():
        raise Skip(f"{path} is not there")
    return path
