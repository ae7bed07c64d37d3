"""What the examples alone say of targets and points, beside the scores of predictions."""

import numpy as np
import pytest

from likewise import Example, Support, Target
from likewise.data import ClassTable, Labels, Prediction
from likewise.labelling.scoring import Scorer, ScoreTotals
from likewise.labelling.support_mean import SupportMean

NAMES = ("depth", "cells", "turn")
TARGETS = {"depth": Target(unit="m"), "cells": Target(kind="density"), "turn": Target(kind="angle", unit="deg")}


def image(height, width):
    return np.zeros((height, width, 3), np.uint8)


@pytest.fixture
def support():
    first = {"depth": np.array([[1.0, 3.0, np.nan]] * 2), "cells": np.full((4, 6), 0.5), "turn": np.full((4, 6), 350.0)}
    second = {"depth": np.array([[8.0, *[np.nan] * 4]] * 2), "cells": np.full((2, 5), 0.2), "turn": np.full((2, 5), 20.0)}
    return Support(
        [
            Example(image(4, 6), "a", dense=first, keypoints={"nose": (3.0, 1.0), "tail": None}),
            Example(image(2, 5), "b", dense=second, keypoints={"nose": (5.0, 0.0), "tail": None}),
        ],
        targets=TARGETS,
    )


def prediction(height, width, depth):
    dense = {
        "depth": np.full((height, width), depth, np.float32),
        "cells": np.zeros((height, width), np.float32),
        "turn": np.zeros((height, width), np.float32),
    }
    return Prediction(
        ClassTable({}), TARGETS, np.zeros((height, width), np.uint8), {}, dense, 0.5, keypoints={"nose": (0.0, 0.0, 1.0), "tail": (0.0, 0.0, 0.1)}
    )


def test_known_pixels_count_alike_counts_by_image_angles_the_shorter_way_and_points_by_their_share(support):
    mean = SupportMean.of(support)
    assert mean.values["depth"].tolist() == [4.0]  # of 1, 3 and 8: not the mean of the means of both
    assert mean.counts["cells"] == pytest.approx((12 + 2) / 2)
    found = mean.prediction(prediction(3, 7, 0.0))
    assert found.dense["depth"].shape == (3, 7, 1)
    assert found.count["cells"] == pytest.approx(7)
    assert (found.dense["turn"][0, 0, 0] % 360) == pytest.approx(
        np.degrees(np.arctan2(*(np.mean(f(np.radians([350.0] * 24 + [20.0] * 10))) for f in (np.sin, np.cos)))) % 360, abs=1e-3
    )
    assert found.keypoints == {"nose": (pytest.approx(7 * (3 / 6 + 5 / 5) / 2), pytest.approx(3 * (1 / 4 + 0) / 2), 1.0)}  # nobody shows the tail


def test_scores_of_the_mean_stand_beside_those_of_the_predictions(support):
    class Truth:
        classes, targets, keypoints = ClassTable({}), TARGETS, ("nose",)

        def labels(self, name, size):
            return Labels((3, 7), dense={"depth": np.full((3, 7, 1), 5.0, np.float32)}, keypoints={"nose": (5.25, 0.375)})

    scorer, totals = Scorer(Truth(), ClassTable({}), {"depth": TARGETS["depth"]}, ("nose",), SupportMean.of(support)), ScoreTotals()
    totals.add(scorer.compare("q", prediction(3, 7, 6.0)))
    scores = totals.scores()
    assert scores["dense"]["depth"]["abs_rel"] == pytest.approx(0.2)
    assert scores["mean"]["depth"]["abs_rel"] == pytest.approx(0.2)
    assert (scores["dense"]["depth"]["rmse"], scores["mean"]["depth"]["rmse"]) == (1.0, 1.0)
    assert scores["keypoints"]["nose"]["error"] > 5 > 1e-5 > scores["mean"]["nose"]["error"]
    assert "miou" not in scores["mean"]


def test_there_is_nothing_to_set_beside_classes():
    support = Support([Example(image(4, 6), "a", label_map=np.ones((4, 6), np.uint8))], classes={1: "x"})
    assert SupportMean.of(support) is None
