"""Scores of N-way segmentation against a slow form that goes pixel by pixel and class by class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.functional.nway_metrics import benchmark_labels, class_iou, confusion, nway_scores, official_scores, overlaps, scores_of


def slow(predicted, truth, count):
    known = truth != -100
    by_class = []
    for number in range(count):
        said, so = (predicted == number) & known, (truth == number) & known
        by_class.append((said & so).sum() / (said | so).sum() if (said | so).any() else None)
    said, so = (predicted > 0) & known, (truth > 0) & known
    foreground = (said & so).sum() / max((said | so).sum(), 1)
    seen = [value for value in by_class if value is not None]
    occurring = [value for value in by_class[1:] if value is not None]
    bmiou = sum(seen) / len(seen) if seen else 0
    return {
        "miou": sum(occurring) / len(occurring) if occurring else 0,
        "bmiou": bmiou,
        "foreground": foreground,
        "fb_iou": (foreground + (by_class[0] or 0)) / 2,
        "official": (bmiou * count - (by_class[0] or 0)) / (count - 1),
    }


@given(st.integers(0, 10_000), st.integers(2, 7))
def test_scores_are_those_of_the_slow_form(seed, count):
    random = np.random.default_rng(seed)
    shown = random.choice(count, random.integers(1, count + 1), replace=False)  # some classes do not occur
    predicted, truth = random.choice(shown, (2, 5, 8))
    truth = np.where(random.random(truth.shape) < 0.2, -100, truth)
    counts, wanted = confusion(predicted, truth, count), slow(predicted, truth, count)
    found, official = nway_scores(counts), official_scores(counts)
    assert found == pytest.approx({name: wanted[name] for name in found})
    assert official == pytest.approx({"miou": wanted["official"], "bmiou": wanted["bmiou"], "fb_iou": wanted["foreground"]})


@given(st.integers(0, 10_000))
def test_overlaps_add_up_like_tables(seed):
    tables = np.random.default_rng(seed).integers(0, 9, (4, 5, 5))
    summed = sum(overlaps(table) for table in tables)
    assert np.array_equal(summed, overlaps(tables.sum(0)))
    each = scores_of(np.stack([overlaps(table) for table in tables]))
    assert each["miou"].tolist() == pytest.approx([nway_scores(table)["miou"] for table in tables])


def test_a_class_that_is_neither_there_nor_predicted_has_no_iou():
    assert np.isnan(class_iou(np.array([[5, 0, 1], [0, 0, 0], [2, 0, 3]]))).tolist() == [False, True, False]


def test_renaming_by_a_table_keeps_classes_apart_and_renaming_in_place_merges_them():
    places = np.arange(4)
    assert benchmark_labels(places, [2, 3, 7]).tolist() == [0, 2, 3, 7]
    assert benchmark_labels(places, [2, 3, 7], official=True).tolist() == [0, 7, 7, 7]
    assert benchmark_labels(places, [1, 4, 5], official=True).tolist() == [0, 1, 4, 5]
