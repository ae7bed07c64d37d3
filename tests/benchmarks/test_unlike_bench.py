"""The bench of what is unlike: halves that share nothing, figures of closed cases, means and deviations in the tables."""

import numpy as np
import pytest


def answer(presence, scores, truth, mask):
    scores, truth, mask = np.array(scores), np.array(truth, bool), np.array(mask, bool)
    counts = {"both": int((mask & truth).sum()), "either": int((mask | truth).sum()), "real": int(truth.sum())}
    return {"presence": presence, "scores": scores, "truth": truth, **counts}


def test_the_halves_share_no_tile_and_are_all(bench, shared):
    parts = bench("unlike").halves()
    assert [len(part) for part in parts] == [7, 15, 7, 15]
    names = [name for part in parts for name in part]
    assert len(set(names)) == len(names) == len(list((shared / "data/tile_defects/masks").glob("*.png")))
    assert all(name.startswith("free_") == (place in (0, 2)) for place, part in enumerate(parts) for name in part)


def test_figures_of_a_case_that_can_be_counted(bench):
    found = bench("unlike").score(
        [
            answer(0.9, [0.1, 0.8, 0.9], [0, 1, 1], [0, 1, 0]),
            answer(0.3, [0.2, 0.1, 0.4], [1, 0, 0], [0, 0, 0]),
            answer(0.6, [0.0, 0.0, 0.0], [0, 0, 0], [0, 0, 1]),
        ]
    )
    assert found["image"] == 0.5  # one of the two with a defect is above the one without
    assert found["own"] == pytest.approx((1 + 0.5) / 2)
    assert found["pixel"] == pytest.approx(17 / 18)  # of 3 x 6 pairs one is the wrong way round
    assert found["iou"] == pytest.approx(1 / 4)
    assert (found["alarmed"], found["missed"]) == (1.0, 0.5)


def test_without_good_images_nothing_is_said_of_images(bench):
    found = bench("unlike").score([answer(0.9, [0.1, 0.8], [0, 1], [0, 1])])
    assert found["image"] is found["alarmed"] is None
    assert found["missed"] == 0


def test_rows_of_one_method_and_number_become_a_line_with_mean_and_deviation(bench):
    unlike = bench("unlike")
    rows = [{"method": "unlike", "good": 3, "draw": draw, **dict.fromkeys(unlike.METRICS, value)} for draw, value in enumerate((0.2, 0.4))]
    rows.append({"method": "analogy", "good": 3, "draw": 0, **dict.fromkeys(unlike.METRICS, 0.5), "image": None})
    lines = list(unlike.table(rows, "good", "good tiles"))
    assert lines[2] == "| 3 | `unlike` | 2 | 0.30 ± 0.10 | 0.30 ± 0.10 | 0.30 ± 0.10 | 30 ± 10 | 30 ± 10 | 30 ± 10 |"
    assert lines[3] == "| 3 | `analogy` | 1 |  | 0.50 | 0.50 | 50 | 50 | 50 |"
