"""Classes that claim masks: who gets a place, who is absent, and how the methods that do so end where nothing is to be found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import LikewiseError
from likewise.methods import method_class
from likewise.methods.base import Query
from likewise.methods.masked import Claim, centres, settled, under
from likewise.methods.references import References, kept_tokens, references
from likewise.proposals.source import Proposals

GRID, SIZE = (6, 9), (84, 126)
COLOURS = np.array([(90, 90, 90), (200, 60, 40), (40, 80, 210)], np.uint8)
PEERS = ("matcher", "gf-sam")


def strip(first, last):
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[:, first:last] = True
    return mask


def test_a_place_belongs_to_the_larger_score():
    found = settled([Claim(strip(0, 3), 0.2, 1.0), Claim(strip(2, 5), 0.3, 0.5)], (2, 6))
    assert found.logits.argmax(dim=0).tolist() == [[1, 1, 2, 2, 2, 0]] * 2
    assert found.presence.tolist() == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-0.5))])


def test_a_class_that_is_likelier_absent_takes_nothing_whatever_its_score():
    found = settled([Claim(strip(0, 3), 0.2, 1.0), Claim(strip(0, 5), 0.9, -0.1)], (2, 6))
    assert found.logits.argmax(dim=0).tolist() == [[1, 1, 1, 0, 0, 0]] * 2
    assert found.presence[1] < 0.01


def test_a_class_without_a_place_left_and_one_never_seen_are_absent():
    found = settled([Claim(strip(1, 3), 0.2, 2.0), Claim(strip(0, 4), 0.3, 1.0), None], (2, 6))
    assert found.logits.argmax(dim=0).tolist() == [[2, 2, 2, 2, 0, 0]] * 2
    assert found.presence[0] < 0.01
    assert found.presence[2] < 0.01


def test_centres_of_tokens_lie_in_their_middle():
    down, across = centres(torch.tensor([0, 5]), (2, 3), (28, 42))
    assert (down.tolist(), across.tolist()) == ([7, 21], [7, 35])
    down, across = centres(torch.arange(4), (2, 2), (1, 1))
    assert (down.tolist(), across.tolist()) == ([0] * 4, [0] * 4)


def test_tokens_under_a_mask_are_covered_by_half_or_most():
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[:2, :3] = True  # of four tokens the first whole, the second by a half
    assert under(mask, (2, 4))[:4].tolist() == [True, True, False, False]
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[3, 7] = True
    assert torch.nonzero(under(mask, (2, 4)))[:, 0].tolist() == [7]
    assert not under(mask & False, (2, 4)).any()


def test_the_lead_is_that_of_the_half_that_leads_most():
    own = References(torch.eye(2), torch.tensor([1.0, 0.0]), torch.zeros(2), torch.zeros(0, 2))
    tokens = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert own.lead(tokens) == pytest.approx((1 - 0.2) / 2)
    assert own.lead(tokens[1:]) == pytest.approx(-0.2)
    assert own.lead(tokens[:0]) == 0
    alone = References(torch.eye(2), torch.ones(2), torch.zeros(2), torch.zeros(0, 2))
    assert alone.lead(tokens[1:2]) == pytest.approx(0.8)
    assert replace(alone, others=torch.tensor([[3.0, 4.0]])).lead(tokens[1:2]) == pytest.approx(0.8 - 1)


def scene(seed, number):
    """Features and labels of a square of a class on grey ground; tokens of a class point along its axis, with noise."""
    generator, labels = torch.Generator().manual_seed(seed), np.zeros(GRID, np.uint8)
    top = int(torch.randint(0, 3, (), generator=generator))
    labels[top : top + 3, 3:6] = number
    tokens = torch.eye(5)[torch.from_numpy(labels.ravel()).long()] + 0.05 * torch.randn(labels.size, 5, generator=generator)
    big = np.kron(labels, np.ones((14, 14), np.uint8))
    pixels = torch.from_numpy(COLOURS[big]).permute(2, 0, 1).contiguous()
    return ImageFeatures(tokens.expand(2, -1, -1).half(), torch.zeros(2, 1, 5), GRID, SIZE, pixels=pixels), big


def learned(name, scenes):
    method = method_class(name)()
    examples = [Example(np.zeros((*SIZE, 3), np.uint8), str(i), label_map=labels) for i, (_, labels) in enumerate(scenes)]
    support = Support(examples, classes={1: "a", 2: "b"})
    return method, method.learn(support, {spec: [item for item, _ in scenes] for spec in method.wants()}), support


def asked(method, memory, query):
    (found,) = method.predict([Query(SIZE)], {spec: [query] for spec in method.wants()}, memory)
    return found


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("shots", [1, 20])
def test_one_example_and_twenty_find_the_class_and_not_the_other(name, shots):
    method, memory, _ = learned(name, [scene(50 + seed, 1 + seed % 2) for seed in range(2 * shots)])
    for number in (1, 2):
        query, labels = scene(7, number)
        found = asked(method, memory, query)
        answer = found.logits.argmax(dim=0).numpy()
        assert ((answer == number) & (labels == number)).sum() > 0.75 * ((answer > 0) | (labels > 0)).sum()  # regions are a pixel or two off the squares
        assert (found.presence > 0.5).tolist() == [number == 1, number == 2]


class Nothing:
    """A source that finds no mask."""

    tensors, facts = {}, {}

    def __init__(self, spec):
        self.spec = spec

    def wants(self):
        return self.spec

    def propose(self, item):
        return Proposals(torch.zeros(0, *SIZE))


@pytest.mark.parametrize("name", PEERS)
def test_without_any_mask_everything_is_background(name):
    method, memory, _ = learned(name, [scene(1, 1), scene(2, 2)])
    method.__dict__["_source"] = Nothing(method.wants()[0])
    found = asked(method, memory, scene(5, 1)[0])
    assert found.logits.argmax(dim=0).eq(0).all()
    assert found.presence.max() < 0.1


@pytest.mark.parametrize("name", PEERS)
def test_a_picture_of_the_ground_alone_shows_no_class(name):
    method, memory, _ = learned(name, [scene(1, 1), scene(2, 2)])
    found = asked(method, memory, scene(5, 0)[0])
    assert found.logits.argmax(dim=0).eq(0).all()
    assert found.presence.max() < 0.5


def test_only_examples_that_show_a_class_are_its_references():
    method, memory, support = learned("matcher", [scene(1, 1), scene(2, 2), scene(3, 1)])
    own = references(memory.tensors, 0)
    assert [len(rows) for rows in own.by_example()] == [54, 54]
    assert sorted(set(own.example.tolist())) == [0, 2]
    (spec,) = method.wants()
    few = kept_tokens(support, {spec: [item for item, _ in (scene(1, 1), scene(2, 2), scene(3, 1))]}, spec, 10, lambda tokens: tokens)
    assert len(few["tokens"]) == len(few["shares"]) == 10
    assert references({**few, "shares": torch.zeros(10, 3)}, 1) is None


@pytest.mark.parametrize("name", PEERS)
def test_a_source_of_masks_that_is_not_there_is_named(name, tmp_path):
    method = method_class(name)(method_class(name).Settings(masks=str(tmp_path / "nothing.safetensors")))
    with pytest.raises(LikewiseError, match=r"nothing\.safetensors"):
        method.wants()
