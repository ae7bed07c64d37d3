"""Keypoints of `analogy`, on made tokens in which every point has a direction of its own."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import Example, Support
from likewise.methods.analogy.points import PointFit, learn_points

COARSE, FINE = FeatureSpec(side=448), FeatureSpec(side=896)
SIZE = (120, 150)
NAMES = ("nose", "left", "right")
SHAPE = np.array([[0.0, 0.0], [14.0, 8.0], [14.0, -8.0]])
WIDTH = 24


def features(points, grid, seed):
    """Tokens with noise, and near each point (of the dictionary) its own direction."""
    generator = torch.Generator().manual_seed(seed)
    tokens = 0.5 * torch.randn(grid[0] * grid[1], WIDTH, generator=generator)
    rows, columns = np.divmod(np.arange(len(tokens)), grid[1])
    centres = np.stack([(columns + 0.5) * SIZE[1] / grid[1], (rows + 0.5) * SIZE[0] / grid[0]], 1)
    for name, point in points.items():
        if point is not None:
            near = np.exp(-((centres - point) ** 2).sum(1) / (2 * 5.0**2))
            tokens[:, NAMES.index(name)] += torch.from_numpy(6 * near).float()
    return ImageFeatures(tokens[None].half(), torch.zeros(1, 1, WIDTH), grid, SIZE)


def laid(seed):
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 6)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = SHAPE @ turn.T + random.uniform(35, 85, 2)
    return {name: (float(x), float(y)) for name, (x, y) in zip(NAMES, places, strict=True)}


def scene(seed, grid_seed=0, **changed):
    points = laid(seed) | changed
    return points, {COARSE: features(points, (12, 15), seed + 100), FINE: features(points, (24, 30), seed + 200)}


def learned(scenes):
    examples = [Example(np.full((*SIZE, 3), index, np.uint8), f"e{index}", keypoints=points) for index, (points, _) in enumerate(scenes)]
    whole = [index % 4 if len(scenes) > 1 else None for index in range(len(scenes))]
    return learn_points(Support(examples), {spec: [own[spec] for _, own in scenes] for spec in (COARSE, FINE)}, whole)


def asked(fit, own):
    return dict(zip(sorted(NAMES), fit.points({448: own[COARSE], 896: own[FINE]}), strict=True))


@pytest.mark.parametrize("count", [2, 6])
def test_points_of_a_new_image_are_found_finer_than_a_coarse_patch(count):
    fit, told = learned([scene(seed) for seed in range(count)])
    points, own = scene(77)
    for name, (x, y, probability) in asked(fit, own).items():
        assert np.hypot(x - points[name][0], y - points[name][1]) < 5
        assert probability > 0.5
    assert told["point nose"]["images"] == count
    assert told["point nose"]["error"] < 0.5


def test_a_hidden_point_is_said_to_be_hidden_once_examples_showed_what_that_is():
    fit, _ = learned([scene(seed, **({"left": None} if seed % 2 else {})) for seed in range(8)])
    shown, hidden = asked(fit, scene(77)[1]), asked(fit, scene(78, left=None)[1])
    assert hidden["left"][2] < 0.5 < shown["left"][2]
    assert hidden["nose"][2] > 0.5


def test_a_name_that_some_examples_do_not_mention_is_learned_from_the_others():
    scenes = [scene(seed) for seed in range(6)]
    partly = [({name: point for name, point in points.items() if name != "right" or index < 3}, own) for index, (points, own) in enumerate(scenes)]
    fit, told = learned(partly)
    assert told["point right"]["images"] == 3
    points, own = scene(77)
    x, y, probability = asked(fit, own)["right"]
    assert np.hypot(x - points["right"][0], y - points["right"][1]) < 5
    assert probability > 0.5  # unknown is not hidden: the three others did not teach its absence


def test_one_example_has_no_left_out_error_and_the_usual_height_of_even_odds():
    fit, told = learned([scene(0)])
    assert "error" not in told["point nose"]
    assert fit.even.tolist() == [0.25] * 3
    assert fit.sky is not None


def test_what_is_kept_answers_the_same():
    fit, _ = learned([scene(seed) for seed in range(3)])
    again = PointFit.of({name: tensor.clone() for name, tensor in fit.tensors().items()})
    own = scene(77)[1]
    assert asked(again, own) == asked(fit, own)


def test_a_point_alone_needs_no_constellation():
    scenes = [({"nose": points["nose"]}, own) for points, own in (scene(seed) for seed in range(4))]
    fit, _ = learned(scenes)
    assert fit.sky is None
    points, own = scene(77)
    ((x, y, _),) = fit.points({448: own[COARSE], 896: own[FINE]})
    assert np.hypot(x - points["nose"][0], y - points["nose"][1]) < 5
