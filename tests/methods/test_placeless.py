"""Positional debiasing as an option of the plain read-outs: what tokens say of their place no longer misleads them."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.methods import method_class
from likewise.methods.base import Query

GRID, SIZE, WIDTH = (6, 10), (60, 100), 8
POSITIONS = torch.eye(WIDTH)[:, -1:]


def half(left, positions):
    """A picture whose object fills one half; the last number of a token says how far left it stands, louder than what it shows."""
    labels = np.zeros(GRID, np.uint8)
    labels[:, :5] = 1 if left else 0
    labels[:, 5:] = 0 if left else 1
    tokens = torch.eye(WIDTH)[torch.from_numpy(labels.ravel()).long()]
    tokens[:, -1] = 3 * torch.linspace(1, -1, 10).repeat(6)
    return ImageFeatures(tokens[None].half(), torch.zeros(1, 1, WIDTH), GRID, SIZE, positions=positions), labels


@pytest.mark.parametrize("name", ["prototype", "nearest", "ridge"])
def test_an_object_on_the_other_side_is_found_once_places_are_taken_out(name):
    kind, right = method_class(name), {}
    for share, positions in ((0.0, None), (0.125, POSITIONS)):
        method = kind(kind.Settings(debias=share))
        item, labels = half(True, positions)
        big = np.kron(labels, np.ones((10, 10), np.uint8))
        (spec,) = method.wants()
        assert spec.debias == share
        memory = method.learn(Support([Example(np.zeros((*SIZE, 3), np.uint8), "a", label_map=big)], classes={1: "a"}), {spec: [item]})
        other, truth = half(False, positions)
        (answer,) = method.predict([Query(SIZE)], {spec: [other]}, memory)
        right[share] = float((answer.logits.argmax(dim=0).numpy() == truth).mean())
    assert right[0.125] == 1
    assert right[0.0] < 0.9
