"""How strange a picture is: tokens whose first layers show a texture and whose last layer shows a thing, all of known directions."""

import pytest
import torch
from torch.nn.functional import normalize

from likewise.backbones.features import ImageFeatures
from likewise.methods.analogy.evidence import Reference
from likewise.methods.analogy.strangeness import KEPT, Texture, steadied, texture_of
from likewise.methods.analogy.tokens import TokenFit

GRID, WIDTH, PATCHES = (6, 7), 16, 42
BACKGROUND, THING = torch.eye(WIDTH)[0], torch.eye(WIDTH)[1]


def image(texture, things=None, *, layers=4, noise=0.05, seed=0, grid=GRID):
    """An image of one texture (W,), whose last layer shows a thing where `things` (P,) is set."""
    generator, count = torch.Generator().manual_seed(seed), grid[0] * grid[1]
    things = torch.zeros(count, dtype=torch.bool) if things is None else things
    below = texture.repeat(layers - 1, count, 1)
    tokens = torch.cat([below, torch.where(things[:, None], THING, BACKGROUND)[None]]) + noise * torch.randn(layers, count, WIDTH, generator=generator)
    return ImageFeatures(normalize(tokens, dim=2).half(), torch.zeros(layers, 0, WIDTH), grid, (60, 70))


def direction(place):
    return torch.eye(WIDTH)[place]


def turned(share):
    """A texture that is so far from direction 4 towards direction 5."""
    return normalize((1 - share) * direction(4) + share * direction(5), dim=0)


SUPPORT = [image(direction(4), seed=place) for place in range(3)]
WHOLE = (0, 1, 2)


class TestStrangeness:
    @pytest.mark.parametrize("whole", [WHOLE, (None, None, None)])
    def test_a_picture_of_the_same_texture_is_not_strange_and_one_of_another_is(self, whole):
        texture = texture_of(SUPPORT, whole)
        assert texture.strangeness(image(direction(4), seed=9)) == 0.0
        assert texture.strangeness(image(direction(5), seed=9)) == 1.0

    def test_it_grows_with_the_distance(self):
        texture = texture_of(SUPPORT, WHOLE)
        found = [texture.strangeness(image(turned(share), seed=9)) for share in (0.0, 0.3, 0.35, 0.4, 1.0)]
        assert found == sorted(found)
        assert any(0.0 < value < 1.0 for value in found)

    def test_what_a_picture_shows_is_no_matter(self):
        texture = texture_of(SUPPORT, WHOLE)
        assert texture.strangeness(image(direction(4), torch.ones(PATCHES, dtype=torch.bool), seed=9)) == 0.0

    def test_a_varied_support_finds_less_strange(self):
        """Examples left out whole are as far from each other as the picture is from them."""
        varied = [image(direction(place), seed=place) for place in (4, 5, 6)]
        assert texture_of(varied, WHOLE).strangeness(image(direction(7), seed=9)) == 0.0
        assert texture_of(varied, (None, None, None)).strangeness(image(direction(7), seed=9)) == 1.0

    def test_one_image_is_compared_with_its_own_blocks(self):
        texture = texture_of(SUPPORT[:1], [None])
        assert 0.9 < float(texture.usual) <= 1.0
        assert texture.strangeness(image(direction(5), seed=9)) == 1.0

    def test_an_only_example_that_counts_as_one_part_says_nothing(self):
        assert texture_of(SUPPORT[:1], [0]).strangeness(image(direction(5), seed=9)) == 0.0

    def test_no_more_is_kept_than_the_budget_and_one_layer_will_do(self):
        large = texture_of([image(direction(4), seed=place, grid=(20, 21), layers=1) for place in range(3)], WHOLE)
        assert large.tokens.shape == (KEPT, WIDTH)
        assert large.strangeness(image(BACKGROUND, layers=1)) == 0.0  # the only layer is the one that shows things, here the background of the support

    def test_it_is_the_same_after_keeping_and_a_task_without_one_knows_none(self):
        texture, query = texture_of(SUPPORT, WHOLE), image(turned(0.35), seed=9)
        again = Texture.of(texture.tensors())
        assert again is not None
        assert again.strangeness(query) == texture.strangeness(query)
        assert Texture.of({}) is None

    def test_the_order_of_examples_is_no_matter(self):
        query = image(turned(0.35), seed=9)
        assert texture_of(SUPPORT[::-1], WHOLE).strangeness(query) == pytest.approx(texture_of(SUPPORT, WHOLE).strangeness(query), abs=1e-5)


class TestSteadied:
    things = torch.arange(PATCHES) % 5 == 0
    query = image(direction(5), things, seed=9)
    reference = Reference(torch.stack([torch.cat([BACKGROUND, BACKGROUND]), torch.cat([THING, THING])]).half(), torch.tensor([0, 1]), torch.zeros(2))
    fit = TokenFit(torch.zeros(4 * WIDTH + 1, 2), torch.stack([BACKGROUND, THING]), torch.tensor(0.0), torch.tensor([True, True]))
    wrong = torch.stack([torch.ones(GRID), torch.zeros(GRID)])  # what a fitted read-out says of a strange picture: background

    def test_a_familiar_picture_keeps_its_answers(self):
        assert steadied(self.wrong, 0.0, self.query, self.reference, self.fit) is self.wrong

    def test_a_strange_one_is_answered_by_its_last_layer(self):
        found = steadied(self.wrong, 1.0, self.query, self.reference, self.fit)
        assert (found.argmax(0).flatten() == self.things).all()
        assert torch.allclose(found.sum(0), torch.ones(GRID))

    def test_between_them_answers_change_by_the_strangeness(self):
        full = steadied(self.wrong, 1.0, self.query, self.reference, self.fit)
        assert torch.allclose(steadied(self.wrong, 0.25, self.query, self.reference, self.fit), 0.75 * self.wrong + 0.25 * full)

    def test_answers_stay_on_their_own_grid(self):
        fine = torch.nn.functional.interpolate(self.wrong[None], scale_factor=4)[0]
        assert steadied(fine, 0.5, self.query, self.reference, self.fit).shape == fine.shape

    def test_a_class_that_was_never_seen_gets_nothing(self):
        unseen = TokenFit(self.fit.linear, self.fit.prototypes, self.fit.share, torch.tensor([True, False]))
        assert (steadied(self.wrong, 1.0, self.query, self.reference, unseen)[1] == 0).all()
