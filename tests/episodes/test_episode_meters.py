"""Meters: the same as the pure functions, in any order and cut into any parts."""

import numpy as np
import pytest
import torch

from likewise.functional import episode_metrics as scores

pytest.importorskip("torchmetrics")

from likewise.episodes.meters import FscsMeter, FssMeter

CLASSES = [6, 7, 8, 9]


def episode(seed):
    random = np.random.default_rng(seed)
    predicted, truth = (torch.from_numpy(random.integers(0, 3, (11, 13))) for _ in range(2))
    void = torch.from_numpy(random.random((11, 13)) < 0.2)
    classes = torch.from_numpy(random.choice(CLASSES, 2, replace=False))
    present, truly = (torch.from_numpy(random.random(2) < 0.5) for _ in range(2))
    return predicted, truth * ~void, void, classes, present, truly


def test_scores_are_those_of_the_pooled_counts():
    meter, removed, official, exact = FscsMeter(CLASSES), np.zeros((2, 10), int), np.zeros((2, 10), int), []
    for seed in range(7):
        predicted, truth, void, classes, present, truly = episode(seed)
        meter.update(predicted, truth, void, classes, present, truly)
        for total, ignored in ((removed, void.numpy()), (official, None)):
            total += scores.fscs_counts(scores.label_overlap(predicted.numpy(), truth.numpy(), 3, ignored), classes.numpy(), 10)
        exact.append(bool((present == truly).all()))
    found = meter.compute()
    assert found["miou"] == pytest.approx(scores.mean_class_iou(removed, CLASSES))
    assert found["miou_official"] == pytest.approx(scores.mean_class_iou(official, CLASSES))
    assert found["miou"] != found["miou_official"]
    assert found["exact_ratio"] == pytest.approx(100 * np.mean(exact))


def test_parts_of_a_benchmark_merge_into_the_whole():
    whole, parts = FscsMeter(CLASSES), [FscsMeter(CLASSES) for _ in range(3)]
    for seed in range(9):
        whole.update(*episode(seed))
        parts[seed * seed % 3].update(*episode(seed))
    merged, *others = parts
    for part in others:
        merged.merge_state(part)
    assert merged.compute() == whole.compute()


def test_a_meter_without_episodes_has_scores_of_zero_and_reset_empties_it():
    meter = FscsMeter(CLASSES)
    meter.update(*episode(0))
    meter.reset()
    assert meter.counts.dtype == torch.int64
    assert not meter.counts.any()


def test_the_meter_of_one_class_leaves_void_out():
    meter, total = FssMeter(CLASSES), np.zeros((2, 2, 10), int)
    for seed in range(5):
        predicted, truth, void, classes, *_ = episode(seed)
        predicted, truth, number = predicted.clamp_max(1), truth.clamp_max(1), int(classes[0])
        meter.update(predicted, truth, number, void)
        total[:, :, number] += scores.fss_counts(predicted.numpy(), truth.numpy(), void.numpy())
    miou, fb_iou = scores.fss_scores(total, CLASSES)
    assert meter.compute() == pytest.approx({"miou": miou, "fb_iou": fb_iou})
