"""What an image shows of each class: made from tokens of two classes and a background whose directions are known."""

import pytest
import torch
from torch.nn.functional import normalize

from likewise.backbones.features import ImageFeatures
from likewise.methods.analogy.evidence import KEPT, Evidence, evidence_of, last_two, reference_of
from likewise.methods.prompts import PatchLabels

GRID, WIDTH = (6, 7), 5
AXES = torch.eye(WIDTH)


def image(places, *, turned=0.0, layers=2, noise=0.05, seed=0):
    """Features whose patches (42) point along the axis of their place, some way turned towards an axis that no class has."""
    generator = torch.Generator().manual_seed(seed)
    one = normalize(AXES[places] + turned * AXES[WIDTH - 1] + noise * torch.randn(len(places), WIDTH, generator=generator), dim=1)
    return ImageFeatures(one.half().repeat(layers, 1, 1), torch.zeros(layers, 0, WIDTH), GRID, (60, 70))


def labels(places, count=3):
    return PatchLabels(torch.nn.functional.one_hot(places, count).float(), torch.ones(len(places)))


def placed(*sizes):
    """Places (42,): so many patches of classes 1, 2, .. and background after them."""
    there = torch.cat([torch.full((size,), place) for place, size in enumerate(sizes, start=1)])
    return torch.cat([there, torch.zeros(GRID[0] * GRID[1] - len(there), dtype=torch.long)])


def sure(places, count=3, by=0.9):
    """Probabilities (N+1, 6, 7) that are sure of these places."""
    rest = (1 - by) / (count - 1)
    return (torch.nn.functional.one_hot(places, count).float() * (by - rest) + rest).T.reshape(count, *GRID)


BOTH = [placed(10, 7), placed(6, 12), placed(8, 9)]
FEATURES = [image(places, seed=place) for place, places in enumerate(BOTH)]
LABELS = [labels(places) for places in BOTH]
REFERENCE, SOURCES = reference_of(FEATURES, LABELS, [0, 1, 2], [0, 1, 2])


class TestReference:
    def test_every_class_keeps_tokens_of_its_own(self):
        kept = REFERENCE.tokens.float()[:, :WIDTH]
        assert (kept.argmax(1) == REFERENCE.places).all()
        assert torch.bincount(REFERENCE.places).tolist() == [sum(int((places == place).sum()) for places in BOTH) for place in range(3)]

    def test_a_large_support_keeps_no_more_than_its_budget_and_no_class_is_lost(self):
        places = [placed(1 if place == 4 else 0, 20) for place in range(29)]
        reference, _ = reference_of([image(one, seed=place) for place, one in enumerate(places)], [labels(one) for one in places], [0] * 29, [0, 1, 2])
        assert len(reference.tokens) == KEPT
        assert set(reference.places.tolist()) == {0, 1, 2}

    def test_it_knows_the_example_of_each_token_and_can_do_without_it(self):
        assert torch.bincount(SOURCES).tolist() == [42, 42, 42]
        rest = REFERENCE.without(SOURCES == 1)
        assert len(rest.tokens) == len(rest.places) == 84

    def test_what_is_usual_between_classes_is_their_likeness_across_images(self):
        tokens, everywhere = REFERENCE.tokens.float()[:, :WIDTH], []
        for place in range(3):
            best = [
                max(float(tokens[one] @ tokens[other]) for other in range(126) if REFERENCE.places[other] != place and SOURCES[other] != SOURCES[one])
                for one in torch.nonzero(REFERENCE.places == place)[:, 0].tolist()
            ]
            everywhere.append(sum(best) / len(best))
        assert REFERENCE.usual.tolist() == pytest.approx(everywhere, abs=2e-3)

    def test_the_numbers_of_the_classes_do_not_matter(self):
        swap = [0, 2, 1]
        swapped, _ = reference_of(FEATURES, [PatchLabels(label.shares[:, swap], label.weight) for label in LABELS], [0, 1, 2], swap)
        assert torch.equal(swapped.tokens, REFERENCE.tokens)
        assert torch.equal(torch.tensor(swap)[swapped.places], REFERENCE.places)

    def test_a_single_layer_stands_for_both(self):
        item = image(BOTH[0], layers=1)
        assert torch.equal(last_two(item)[:, :WIDTH], last_two(item)[:, WIDTH:])


class TestEvidence:
    def shown(self, places, said=None, **how) -> Evidence:
        return evidence_of(sure(places if said is None else said), image(places, seed=9, **how), REFERENCE)

    def test_a_class_that_is_there_is_found_and_one_that_is_not_is_not(self):
        found = self.shown(placed(11)).found
        assert found[0] > 0.5
        assert found[1] < 0.2

    def test_an_image_of_something_else_is_not_familiar(self):
        assert float(self.shown(placed(11), turned=2.0).familiar[0]) < float(self.shown(placed(11)).familiar[0]) - 0.3

    def test_the_margin_unmasks_a_claim_of_the_wrong_class(self):
        right, wrong = self.shown(placed(11)), self.shown(placed(0, 11), said=placed(11))
        assert right.margin[0] > 0.5
        assert wrong.margin[0] < -0.5
        assert wrong.lead[0] == right.lead[0]

    def test_a_claim_on_a_finer_grid_is_judged_by_the_same_tokens(self):
        coarse = self.shown(placed(14))
        fine = evidence_of(sure(placed(14)).repeat_interleave(3, 1).repeat_interleave(3, 2), image(placed(14), seed=9), REFERENCE)
        torch.testing.assert_close(fine.margin, coarse.margin, atol=1e-4, rtol=0)

    def test_a_class_that_nobody_kept_a_token_of_is_found_nowhere(self):
        none = REFERENCE.without(REFERENCE.places == 2)
        found = evidence_of(sure(placed(5, 5)), image(placed(5, 5)), none)
        assert found.found[1] <= 0
        assert found.margin[1] < -1
