"""Labels by masks: what the masks of the examples teach, and what happens without any."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import LikewiseError
from likewise.methods.base import Query
from likewise.methods.proposals import ProposalMatching, ProposalsSettings, grounds, mask_logits
from likewise.proposals.source import Proposals

GRID, SIZE = (6, 9), (84, 126)
COLOURS = np.array([(90, 90, 90), (200, 60, 40), (40, 80, 210)], np.uint8)


def scene(seed, numbers):
    """Features, and labels of squares of a class each on grey ground; tokens of a class point along its axis, with noise."""
    generator, labels = torch.Generator().manual_seed(seed), np.zeros(GRID, np.uint8)
    for place, number in enumerate(numbers):
        top = int(torch.randint(0, 3, (), generator=generator))
        labels[top : top + 3, 1 + 4 * place : 4 + 4 * place] = number
    tokens = torch.eye(5)[torch.from_numpy(labels.ravel()).long()] + 0.05 * torch.randn(labels.size, 5, generator=generator)
    big = np.kron(labels, np.ones((14, 14), np.uint8))
    pixels = torch.from_numpy(COLOURS[big]).permute(2, 0, 1).contiguous()
    return ImageFeatures(tokens.expand(2, -1, -1).half(), torch.zeros(2, 1, 5), GRID, SIZE, pixels=pixels), big


def learned(method, scenes, maps=None, classes=None):
    maps = [labels for _, labels in scenes] if maps is None else maps
    examples = [Example(np.zeros((*SIZE, 3), np.uint8), str(i), label_map=labels) for i, labels in enumerate(maps)]
    support = Support(examples, classes=classes or {1: "a", 2: "b"})
    return method.learn(support, {spec: [item for item, _ in scenes] for spec in method.wants()})


def asked(method, memory, query):
    (answer,) = method.predict([Query(SIZE)], {spec: [query] for spec in method.wants()}, memory)
    return answer


class Given:
    """A source of masks that were made elsewhere."""

    tensors, facts = {}, {}

    def __init__(self, spec, masks):
        self.spec, self.masks = spec, masks

    def wants(self):
        return self.spec

    def propose(self, item):
        return Proposals(self.masks)


def given(masks):
    method = ProposalMatching()
    method.__dict__["_source"] = Given(method.wants()[0], masks)
    return method


@pytest.mark.parametrize("shots", [1, 100])
def test_one_example_and_a_hundred_find_both_classes_with_the_borders_of_the_picture(shots):
    method, (query, labels) = ProposalMatching(), scene(7, (2, 1))
    memory = learned(method, [scene(100 + seed, (1, 2)) for seed in range(shots)])
    found = asked(method, memory, query).logits.argmax(dim=0).numpy()
    assert found.shape == SIZE
    assert (found == labels).mean() > 0.98


def test_no_more_masks_of_examples_are_kept_than_asked_for():
    scenes = [scene(seed, (1, 2)) for seed in range(9)]
    few, none = (learned(ProposalMatching(ProposalsSettings(grounds=2, **given)), scenes) for given in ({"keys": 5}, {"pure": 1.1}))
    assert len(few.tensors["keys"]) == 2 + 2 + 5
    assert few.tensors["places"].shape == (9,)
    assert none.tensors["places"].tolist() == [0, 0, 1, 2]


def test_without_any_proposal_everything_is_background_and_no_class_is_present():
    (query, _), teacher = scene(3, (1, 2)), learned(ProposalMatching(), [scene(1, (1, 2))])
    answer = asked(given(torch.zeros(0, *SIZE)), teacher, query)
    assert answer.logits.argmax(dim=0).eq(0).all()
    assert answer.presence.max() < 0.1


def test_examples_without_any_proposal_still_teach_by_their_own_masks():
    memory = learned(given(torch.zeros(0, *SIZE)), [scene(1, (1, 2))])
    query, labels = scene(5, (2, 1))
    found = asked(ProposalMatching(), memory, query).logits.argmax(dim=0).numpy()
    assert (found == labels).mean() > 0.98


def test_what_no_mask_covers_is_background():
    query, labels = scene(5, (2, 1))
    memory = learned(ProposalMatching(), [scene(1, (1, 2))])
    only = torch.from_numpy(labels == 1)[None].float()
    found = asked(given(only), memory, query).logits.argmax(dim=0).numpy()
    assert np.array_equal(found, np.where(labels == 1, 1, 0))


def test_an_empty_mask_teaches_that_nothing_is_there():
    scenes = [scene(1, (1, 2)), scene(2, (2, 1))]
    empty = np.zeros(SIZE, np.uint8)
    (query, labels), method = scene(5, (2, 1)), ProposalMatching()
    one = learned(method, [scenes[0], scene(8, ())], [scenes[0][1], empty])
    assert (asked(method, one, query).logits.argmax(dim=0).numpy() == labels).mean() > 0.98
    none = learned(method, scenes, [empty, empty])
    answer = asked(method, none, query)
    assert answer.logits.argmax(dim=0).eq(0).all()
    assert answer.presence.max() < 0.1


def test_a_class_without_an_example_is_never_given():
    method = ProposalMatching()
    memory = learned(method, [scene(1, (1,))])
    assert memory.tensors["seen"].tolist() == [True, True, False]
    assert not asked(method, memory, scene(5, (2, 1))[0]).logits.argmax(dim=0).eq(2).any()


def test_a_mask_takes_the_class_of_the_most_alike_key():
    kept = {"keys": torch.eye(3), "places": torch.tensor([0, 2, 2]), "seen": torch.tensor([True, False, True])}
    means = torch.nn.functional.normalize(torch.tensor([[0.0, 0.6, 0.8], [1.0, 0.1, 0.0]]), dim=1)
    logits = mask_logits(means, kept, 10.0)
    assert logits[0].tolist() == pytest.approx([0.0, -torch.inf, 8.0])
    assert logits.argmax(dim=1).tolist() == [2, 0]


def test_where_no_background_was_seen_it_has_the_cosine_of_nothing():
    kept = {"keys": torch.eye(3)[:1], "places": torch.tensor([1]), "seen": torch.tensor([True, True])}
    assert mask_logits(-torch.eye(3)[:1], kept, 10.0)[0].tolist() == pytest.approx([0.0, -10.0])


def test_the_ways_the_background_looks_are_told_apart():
    tokens = torch.nn.functional.normalize(torch.eye(4)[[0, 0, 1, 1, 1, 2]] + 0.01, dim=1)
    found = grounds(tokens, torch.tensor([1.0, 1, 1, 1, 1, 0]), 2)
    assert sorted(found.argmax(dim=1).tolist()) == [0, 1]


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LikewiseError, match=r"nothing\.safetensors"):
        ProposalMatching(ProposalsSettings(masks=str(tmp_path / "nothing.safetensors"))).wants()
