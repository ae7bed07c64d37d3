import pytest
import torch
from torch.nn.functional import cross_entropy

from likewise.errors import UsageError
from likewise.functional.prototypes import distance_scores
from likewise.methods.classifiers.hallucinator_model import Hallucinator, drawn_seeds, enlarged_support, seeds_in_turn

WAY, SHOT, COUNT, WIDTH = 3, 2, 5, 4


@pytest.fixture
def support():
    return torch.rand(WAY, SHOT, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("inner", [WIDTH, 9, 16])
def test_an_untrained_hallucinator_returns_its_seeds(support, inner):
    noise = torch.randn(WAY, SHOT, WIDTH)
    torch.testing.assert_close(Hallucinator(WIDTH, inner)(support, noise), support)


def test_real_examples_come_before_the_hallucinated_ones(support):
    seeds = seeds_in_turn(support, COUNT)
    found = enlarged_support(Hallucinator(WIDTH, 8), support, seeds, torch.zeros_like(seeds))
    assert torch.equal(found[:, :SHOT], support)
    torch.testing.assert_close(found[:, SHOT:], support[:, [0, 1, 0, 1, 0]])


def test_seeds_are_drawn_from_the_class_they_stand_for(support):
    seeds, noise = drawn_seeds(support, 60, torch.Generator().manual_seed(2))
    assert noise.shape == seeds.shape == (WAY, 60, WIDTH)
    for own, drawn in zip(support, seeds, strict=True):
        from_first, from_second = ((drawn == example).all(dim=1) for example in own)
        assert bool((from_first | from_second).all())
        assert 10 < int(from_first.sum()) < 50
    assert float(noise.std()) == pytest.approx(1, abs=0.1)
    again, _ = drawn_seeds(support, 60, torch.Generator().manual_seed(2))
    assert torch.equal(again, seeds)


def test_classes_of_different_size_are_drawn_from_alike(support):
    seeds, noise = drawn_seeds([support[0], support[1, :1]], COUNT, torch.Generator().manual_seed(2))
    assert seeds.shape == noise.shape == (2, COUNT, WIDTH)
    assert torch.equal(seeds[1], support[1, :1].expand(COUNT, -1))


def test_a_class_without_examples_has_nothing_to_start_from(support):
    with pytest.raises(UsageError, match="no example"):
        drawn_seeds(support[:, :0], COUNT, torch.Generator())


def test_the_loss_of_the_queries_trains_the_hallucinator(support):
    generator = torch.Generator().manual_seed(3)
    queries, labels = support + 0.3 * torch.rand(WAY, SHOT, WIDTH, generator=generator), torch.arange(WAY).repeat_interleave(SHOT)
    hallucinator = Hallucinator(WIDTH, 8)
    optimiser = torch.optim.SGD(hallucinator.parameters(), 0.05)
    seeds, noise = drawn_seeds(support, COUNT, generator)
    losses = []
    for _ in range(20):
        prototypes = enlarged_support(hallucinator, support, seeds, noise).mean(dim=1)
        loss = cross_entropy(distance_scores(queries.flatten(0, 1), prototypes), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.02
