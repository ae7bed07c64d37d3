"""Links of dense values are undone exactly."""

import math

import pytest
import torch

from likewise.functional.links import decode, encode, link_of


@pytest.mark.parametrize(("kind", "values"), [("log", [[0.1], [2000.0]]), ("angle", [[-3.0], [3.1]]), ("real", [[-5.0], [7.0]])])
def test_values_come_back(kind, values):
    link = link_of(kind)
    torch.testing.assert_close(decode(encode(torch.tensor(values), link), link), torch.tensor(values))


def test_unit_vectors_come_back_with_length_one():
    found = decode(3 * encode(torch.tensor([[3.0, 0, 4]]), "unit"), "unit")
    torch.testing.assert_close(found, torch.tensor([[0.6, 0, 0.8]]))


def test_angles_average_across_the_turn():
    two = encode(torch.tensor([[math.pi - 0.1], [-math.pi + 0.1]]), "angle").mean(0, keepdim=True)
    assert abs(abs(float(decode(two, "angle"))) - math.pi) < 1e-5
