import itertools

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from likewise.methods.classifiers.dagan import (
    DaganTraining,
    critic_loss,
    drawn_pairs,
    further_images,
    generator_loss,
    rounds,
    slope_penalty,
    turned,
)
from likewise.methods.classifiers.dagan_model import DaganConfig, DaganCritic, DaganGenerator

SMALL = DaganConfig(side=8, noise=6, widths=(12, 16, 20, 24), inner=1, inner_critic=1)


class Linear(nn.Module):
    """A critic whose slope is known: the sum of a candidate times its weights, and of the seen image."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, candidates, seen):
        return (candidates * self.weight).sum(dim=(1, 2, 3)) + 5 * seen.sum(dim=(1, 2, 3))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(4)
    seen, real, fake = (torch.randn(5, 2, 3, 4, generator=generator) for _ in range(3))
    return seen, real, fake, torch.rand(5, generator=generator)


def test_the_slope_of_a_linear_critic_is_the_length_of_its_weights(batch):
    weight = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    found = slope_penalty(Linear(weight), *batch)
    torch.testing.assert_close(found, (weight.norm() - 1).square())


def test_the_published_slope_is_one_a_column_and_channel(batch):
    weight = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    found = slope_penalty(Linear(weight), *batch, official=True)
    torch.testing.assert_close(found, (weight.norm(dim=1) - 1).square().mean())


def test_the_slope_is_taken_between_real_and_fake_images(batch):
    class Squares(Linear):
        def forward(self, candidates, seen):
            return candidates.square().sum(dim=(1, 2, 3)) / 2

    seen, real, fake, share = batch
    between = real + share[:, None, None, None] * (fake - real)
    lengths = between.flatten(1).norm(dim=1)
    torch.testing.assert_close(slope_penalty(Squares(torch.zeros(1)), seen, real, fake, share), (lengths - 1).square().mean())


def test_the_penalty_trains_the_critic(batch):
    critic = Linear(torch.full((2, 3, 4), 0.5))
    slope_penalty(critic, *batch).backward()
    length = critic.weight.detach().norm()
    torch.testing.assert_close(critic.weight.grad, 2 * (length - 1) * critic.weight.detach() / length)


def test_a_critic_without_slope_has_a_finite_gradient(batch):
    critic = Linear(torch.zeros(2, 3, 4))
    slope_penalty(critic, *batch, official=True).backward()
    assert torch.isfinite(critic.weight.grad).all()


def test_the_losses_are_differences_of_mean_scores(batch):
    seen, real, fake, share = batch
    critic = Linear(torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1)))
    expected = critic(fake, seen).mean() - critic(real, seen).mean() + 10 * (critic.weight.norm() - 1).square()
    torch.testing.assert_close(critic_loss(critic, seen, real, fake, share, DaganTraining()), expected)
    torch.testing.assert_close(generator_loss(critic, seen, fake), -critic(fake, seen).mean())


def test_pairs_are_of_one_class_and_half_of_them_turned_alike():
    plain = torch.zeros(1, 2, 2)
    plain[0, 0, 0] = 1  # the corner tells the turn
    classes = [torch.stack([(10 * c + m + 1) * plain for m in range(3 + c)]) for c in range(4)]
    seen, other = drawn_pairs(classes, 400, torch.Generator().manual_seed(0))
    values = [images.amax(dim=(1, 2, 3)).long() - 1 for images in (seen, other)]
    assert torch.equal(values[0] // 10, values[1] // 10)
    assert 0 < int((values[0] == values[1]).sum()) < 200
    corners = [images.flatten(1).argmax(dim=1) for images in (seen, other)]
    assert torch.equal(*corners)
    counts = torch.bincount(corners[0], minlength=4)
    assert 160 < int(counts[0]) < 240
    assert int(counts[1:].min()) > 40
    assert set(values[0].tolist()) == {10 * c + m for c in range(4) for m in range(3 + c)}


def test_images_turn_counter_clockwise_by_quarters():
    image = torch.tensor([[[1.0, 2], [3, 4]]])
    found = turned(image.repeat(4, 1, 1, 1), torch.tensor([3, 0, 1, 2]))
    assert found[:, 0].tolist() == [[[3, 1], [4, 2]], [[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]]]


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (8, 3), (13, 2)])
def test_the_generator_keeps_the_shape_of_images_and_their_range(side, channels):
    config = DaganConfig(side=side, channels=channels, noise=5, widths=(6, 7, 8, 9), inner=2)
    found = DaganGenerator(config)(torch.rand(2, channels, side, side), torch.randn(2, 5))
    assert found.shape == (2, channels, side, side)
    assert float(found.detach().abs().max()) <= 1


def test_noise_and_image_both_change_what_is_generated():
    network = DaganGenerator(SMALL).eval()
    images, noise = torch.rand(2, 1, 8, 8), torch.randn(2, 6)
    with torch.no_grad():
        found = network(images, noise)
        assert not torch.allclose(network(images, noise.flip(0)), found)
        assert not torch.allclose(network(images.flip(0), noise), found)


def test_a_critic_judges_each_pair_for_itself_and_by_its_order():
    critic = DaganCritic(SMALL)
    candidates, seen = torch.rand(2, 3, 1, 8, 8).unbind()
    with torch.no_grad():
        scores = critic(candidates, seen)
        assert scores.shape == (3,)
        torch.testing.assert_close(critic(candidates[1:2], seen[1:2]), scores[1:2])
        assert not torch.allclose(critic(seen, candidates), scores)
        assert not torch.allclose(critic(candidates, seen.flip(0)), scores)


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 8 - 1
    return [images[labels == digit] for digit in range(10)]


def nearest(found, classes):
    """How far images made for each class are, in the mean, from its nearest real one."""
    return float(torch.stack([torch.cdist(made.flatten(1), real.flatten(1)).amin(dim=1).mean() for made, real in zip(found, classes, strict=True)]).mean())


def test_some_rounds_on_digits_bring_what_is_made_of_other_digits_nearer_to_them(digits):
    torch.manual_seed(0)
    network, critic = DaganGenerator(SMALL), DaganCritic(SMALL)
    seen, unseen = digits[:6], digits[6:]

    def made():
        return [further_images(network, images[:10], 3, torch.Generator().manual_seed(1)).flatten(0, 1) for images in unseen]

    before = nearest(made(), unseen)
    training = DaganTraining(rate=2e-3, batch=16, critic_steps=2)
    for losses in itertools.islice(rounds(network, critic, seen, training, torch.Generator().manual_seed(0)), 40):
        assert all(map(torch.isfinite, map(torch.tensor, losses)))
    assert nearest(made(), unseen) < 0.85 * before


def test_generated_images_follow_from_the_seed(digits):
    network = DaganGenerator(SMALL)
    support = torch.cat([digits[7][:2], digits[9][:1]])
    one, two = (further_images(network, support, 4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert one.shape == (3, 4, 1, 8, 8)
    assert torch.equal(one, two)
    assert not torch.allclose(one[:, 0], one[:, 1])
