"""Stored labels of Taskonomy: laws of the decoding; the numbers themselves are compared in golden files."""

import numpy as np
import pytest
import torch

from likewise.episodes.taskonomy.decoding import decode, metres
from likewise.episodes.taskonomy.tasks import CHANNELS, FOLDS, SEGMENTATION, TASKS, held_out_rows, training_tasks
from likewise.functional.texture import edge_strength, texture_edges

RANDOM = np.random.default_rng(0)


def stored(height=9, width=11, count=2):
    depth = RANDOM.integers(200, 64000, (count, height, width)).astype(np.uint16)
    arrays = {
        name: RANDOM.integers(0, 65536, (count, height, width)).astype(np.uint16) for name in ("depth_zbuffer", "edge_occlusion", "keypoints2d", "keypoints3d")
    }
    arrays |= {name: RANDOM.integers(0, 256, (count, height, width, 3)).astype(np.uint8) for name in ("rgb", "normal", "reshading", "principal_curvature")}
    return arrays | {"depth_euclidean": depth, "segment_semantic": RANDOM.integers(0, 18, (count, height, width)).astype(np.uint8)}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_channels_values_in_0_to_1_and_holes_where_the_scan_has_them(task):
    arrays = stored()
    arrays["depth_euclidean"][:, 2:4] = 65535
    found = decode(task, arrays)
    assert found.label.shape == found.known.shape == (2, TASKS[task].channels, 9, 11)
    assert 0 <= float(found.label.min()) <= float(found.label.max()) <= 1
    holes = task in ("depth_euclidean", "depth_zbuffer", "edge_occlusion", "keypoints3d", "principal_curvature")
    assert bool((found.known[:, :, 2:4] == 0).all()) == holes
    assert bool((found.known[:, :, 4:] == 1).all())


def test_metres_are_the_inverse_of_the_depth_labels():
    arrays = stored()
    raw = arrays["depth_euclidean"] = RANDOM.integers(1000, 64000, (2, 9, 11)).astype(np.uint16)
    found = metres("depth_euclidean", decode("depth_euclidean", arrays).label)
    torch.testing.assert_close(found.float(), torch.from_numpy(raw.astype(np.float32)) / 512, rtol=2e-4, atol=1e-3)


def test_classes_are_the_stored_numbers_less_one_and_uncertain_pixels_are_background():
    arrays = {"segment_semantic": np.array([[[0, 1, 3, 17, 8]]], np.uint8)}
    found = decode("segment_semantic", arrays).label[0, :, 0]
    assert torch.nonzero(found).tolist() == [[SEGMENTATION.index(2), 2], [SEGMENTATION.index(16), 3]]


def test_texture_edges_of_a_step_stand_at_the_step_and_a_plain_picture_has_none():
    picture = torch.zeros(2, 3, 24, 30)
    picture[0, :, :, 15:] = 1
    found = texture_edges(picture)
    assert not found[1].any()
    assert found[0, 0, 12].argmax() in (14, 15)
    assert bool((found[0, 0, 6:18, 5:10] == 0).all())


def test_an_edge_depends_on_other_pictures_only_where_the_code_has_it_so():
    pictures = torch.rand(2, 3, 24, 30, generator=torch.Generator().manual_seed(1))
    pictures[1] *= 0.2
    alone = torch.cat([texture_edges(pictures[:1]), texture_edges(pictures[1:])])
    torch.testing.assert_close(texture_edges(pictures), alone)
    assert float((texture_edges(pictures, each_alone=False)[1] - alone[1]).abs().max()) > 0.3


def test_the_strength_of_a_ramp_is_its_slope_times_the_sobel_weights_and_colours():
    ramp = (torch.arange(30.0) * 0.01).expand(1, 3, 40, 30)
    strength = edge_strength(ramp, 3, 0.1)  # so narrow a Gaussian is one pixel of weight 1 / (2 pi 0.01)
    torch.testing.assert_close(strength[0, 0, 20, 15], torch.tensor(3 * 8 * 0.01 / (2 * np.pi * 0.01)), rtol=1e-4, atol=0)


def test_rows_of_all_tasks_follow_each_other_and_folds_hold_out_all_tasks_once():
    rows = [row for task in TASKS.values() for row in task.rows]
    assert rows == list(range(CHANNELS)) == list(range(34))
    assert sorted(row for fold in range(5) for row in held_out_rows(fold)) == rows
    assert sorted(name for fold in FOLDS for name in fold) == sorted(TASKS)
    assert all(len(training_tasks(fold)) == 8 for fold in range(5))
    assert TASKS["segment_semantic"].channel_names()[5] == "segment_semantic_8"
