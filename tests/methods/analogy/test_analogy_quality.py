"""The IoU to expect of a class: soft Dice, put right by how well the class is found and by the margin of what it claims."""

import dataclasses

import torch

from likewise.methods.analogy.evidence import Evidence
from likewise.methods.analogy.quality import expected, limited

EVIDENCE = Evidence(*(torch.tensor([0.5, 0.2]) for _ in range(3)), margin=torch.tensor([0.1, 0.3]))
DICE = torch.tensor([0.8, 0.6])


def test_a_surer_map_and_a_wider_margin_promise_more():
    found = [expected(torch.tensor([dice, 0.7]), EVIDENCE).tolist() for dice in (0.3, 0.6, 0.9)]
    assert [first for first, _ in found] == sorted({first for first, _ in found})
    assert len({second for _, second in found}) == 1
    near, far = (float(expected(DICE, dataclasses.replace(EVIDENCE, margin=torch.tensor([margin, 0.3])))[0]) for margin in (-0.1, 0.3))
    assert near < far


def test_promises_are_within_0_and_1_whatever_is_said():
    for dice in (0.0, 1.0):
        found = expected(torch.full((2,), dice), EVIDENCE)
        assert bool(((found > 0) & (found < 1)).all())


def test_near_certainty_has_no_more_odds_than_its_limit():
    assert limited(torch.tensor([0.0, 0.5, 1.0])).tolist() == [*limited(torch.tensor([0.01, 0.5, 0.99])).tolist()]
