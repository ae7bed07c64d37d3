import dataclasses

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from likewise.methods.classifiers.hallucinator import (
    LEARNERS,
    HallucinatorTraining,
    asked,
    drawn_episode,
    episode_loss,
    episode_steps,
    matching,
    prototype_matching,
    prototypical,
)
from likewise.methods.classifiers.hallucinator_model import Hallucinator

WAY, SHOT, WIDTH = 3, 2, 4
TRAINING = HallucinatorTraining(n_way=3, n_shot=(1, 2), n_query=4, generated=3, rate=0.003, n_episodes=60)


@pytest.fixture
def support():
    return torch.rand(WAY, SHOT, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def digits():
    features, labels = load_digits(return_X_y=True)
    features = torch.from_numpy(features).float() / 16
    return [features[labels == digit] for digit in range(10)]


def test_a_support_of_one_example_each_is_matched_as_its_prototypes(support):
    queries = torch.rand(5, WIDTH)
    torch.testing.assert_close(asked(matching, support[:, :1], queries), asked(prototype_matching, support[:, :1], queries))


def test_matching_sums_the_attention_of_a_class(support):
    queries = torch.rand(5, WIDTH)
    flat = support.flatten(0, 1)
    weights = torch.softmax(queries @ (flat / (flat.norm(dim=1, keepdim=True) + 1e-5)).T, dim=1)
    expected = torch.stack([weights[:, 2 * n] + weights[:, 2 * n + 1] for n in range(WAY)], dim=1)
    torch.testing.assert_close(asked(matching, support, queries).exp(), expected, atol=2e-6, rtol=1e-5)


def test_prototypes_are_means_over_real_and_hallucinated_examples_alike(support):
    found = asked(prototypical, torch.cat([support, torch.zeros(WAY, 2, WIDTH)], dim=1), torch.zeros(1, WIDTH))
    torch.testing.assert_close(found[0], -(support.sum(dim=1) / 4).square().sum(dim=1))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_class_with_the_same_example_twice_is_as_likely_as_one_with_it_once(name):
    first, second = torch.eye(WIDTH)[:2]
    queries = torch.stack([first + second, first])
    once, twice = (LEARNERS[name](torch.stack([first, *[second] * count]), torch.tensor([0] + [1] * count), queries) for count in (1, 2))
    torch.testing.assert_close(twice.softmax(dim=1), once.softmax(dim=1), atol=1e-5, rtol=0)
    assert float(once[0].softmax(dim=0)[0]) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_passes_its_loss_on_to_the_hallucinator(support, name):
    hallucinator = Hallucinator(WIDTH, 8)
    episode = torch.cat([support, support + 0.1], dim=1)
    episode_loss(hallucinator, episode, SHOT, 5, LEARNERS[name], torch.Generator().manual_seed(0)).backward()
    assert all(float(value.grad.abs().sum()) > 0 for value in hallucinator.parameters())


def test_without_hallucinated_examples_the_loss_is_that_of_the_learner_alone(support):
    episode = torch.cat([support, support + 0.1], dim=1)
    found = episode_loss(Hallucinator(WIDTH, 8), episode, SHOT, 0, prototypical, torch.Generator())
    scores = asked(prototypical, support, (support + 0.1).flatten(0, 1))
    torch.testing.assert_close(found, -scores.log_softmax(dim=1)[torch.arange(6), torch.tensor([0, 0, 1, 1, 2, 2])].mean())


def test_episodes_have_different_shots_of_different_classes():
    classes = [c + torch.arange(9.0)[:, None] / 10 for c in range(5)]
    generator, shots, seen = torch.Generator().manual_seed(0), set(), set()
    for _ in range(30):
        episode, n_shot = drawn_episode(classes, TRAINING, generator)
        own = episode[..., 0].floor()
        assert episode.shape == (3, n_shot + 4, 1)
        assert torch.equal(own, own[:, :1].expand_as(own))
        assert len(episode.unique()) == episode.numel()
        shots.add(n_shot)
        seen |= set(own[:, 0].tolist())
    assert shots == {1, 2}
    assert seen == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("classes", [[torch.rand(9, WIDTH)] * 2, [torch.rand(9, WIDTH)] * 4 + [torch.rand(4, WIDTH)]])
def test_too_few_classes_or_examples_are_refused(classes):
    with pytest.raises(ValueError, match="cannot be drawn from"):
        drawn_episode(classes, TRAINING, torch.Generator())


def test_training_on_digits_lowers_the_loss_of_other_episodes_of_them(digits):
    hallucinator = Hallucinator(64, 96)
    one_shot = dataclasses.replace(TRAINING, n_shot=(1, 1), n_query=10)

    def loss():
        generator = torch.Generator().manual_seed(9)
        episodes = [drawn_episode(digits[:6], one_shot, generator)[0] for _ in range(25)]
        with torch.no_grad():
            return float(torch.stack([episode_loss(hallucinator, episode, 1, 3, prototypical, generator) for episode in episodes]).mean())

    before = loss()
    assert len(list(episode_steps(hallucinator, prototypical, digits[:6], TRAINING, torch.Generator().manual_seed(2)))) == TRAINING.n_episodes
    assert loss() < 0.95 * before


def test_the_embedding_of_the_learner_is_trained_as_well(digits):
    embedding = nn.Linear(64, 5)
    before = embedding.weight.detach().clone()
    short = dataclasses.replace(TRAINING, n_episodes=2)
    list(episode_steps(Hallucinator(64, 16), matching, digits[:4], short, torch.Generator().manual_seed(2), embedding=embedding))
    assert not torch.equal(embedding.weight, before)
