"""Adapting to a support, against torch's own gradient descent."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from likewise.episodes.classification.benchmark import Asked, ClassBenchmark, Item
from likewise.methods.classifiers.training_table import class_trainable

INK = {"encoder": "conv4s", "side": 28, "pixels": "ink"}


@pytest.fixture
def learner():
    found = class_trainable("baseline", INK, 7, seed=3)
    for part in found.encoder.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # statistics as of a training
            part.running_mean.uniform_(-0.2, 0.2, generator=torch.Generator().manual_seed(1))
    return found


@pytest.fixture
def episode():
    """Three classes, two supports and four queries each, of noise that depends on the item."""
    benchmark = ClassBenchmark("noise", {}, lambda item: np.random.default_rng(item.place).integers(0, 255, (30, 30, 3)).astype(np.uint8))
    rows = [[Item(10 * way + place) for place in range(6)] for way in range(3)]
    return benchmark, Asked([row[:2] for row in rows], [row[2:] for row in rows])


def by_hand(learner, episode, steps, rate, *, head_alone):
    """The answers of the encoder and a linear layer after descending with torch.optim.SGD, norms as in evaluation."""
    benchmark, asked = episode
    from likewise.training.classes import Pictures

    shown = Pictures(benchmark, learner).episode(asked)
    supports, queries = (learner.numbers(part).flatten(0, 1) for part in (shown.support, shown.query))
    encoder, head = copy.deepcopy(learner.encoder).eval(), torch.nn.Linear(64, 3)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimiser = torch.optim.SGD([*head.parameters(), *([] if head_alone else encoder.parameters())], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        cross_entropy(head(encoder(supports)), torch.tensor([0, 0, 1, 1, 2, 2])).backward()
        optimiser.step()
    with torch.no_grad():
        return head(encoder(queries)).argmax(dim=1).numpy()


@pytest.mark.parametrize("head_alone", [False, True])
def test_steps_are_those_of_gradient_descent_and_go_on_from_fewer(bench, learner, episode, head_alone):
    adapting = bench("adapting")
    start = adapting.encoder_start(learner.encoder, 28, 3, head_alone=head_alone)
    walked = adapting.Trajectories(start, learner, episode[0], 0.3)
    assert walked.at(0)(episode[1]).tolist() == [0] * 12
    for steps in (1, 6):
        np.testing.assert_array_equal(walked.at(steps)(episode[1]), by_hand(learner, episode, steps, 0.3, head_alone=head_alone))
    fresh = adapting.Trajectories(start, learner, episode[0], 0.3)
    np.testing.assert_array_equal(walked.at(1)(episode[1]), fresh.at(1)(episode[1]))  # back from six


def test_adapting_leaves_the_learner_as_it_was(bench, learner, episode):
    before = {name: value.clone() for name, value in learner.encoder.state_dict().items()}
    start = bench("adapting").encoder_start(learner.encoder, 28, 3, by_support=True)
    bench("adapting").Trajectories(start, learner, episode[0], 0.3).at(3)(episode[1])
    for name, value in learner.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_learned_start_answers_as_the_learner_that_was_trained(bench, episode):
    maml = class_trainable("maml", INK | {"way": 3, "steps": 2, "rate": 0.4}, 3, seed=5)
    from likewise.training.classes import TrainedAnswers

    walked = bench("adapting").Trajectories(bench("adapting").learned_start(maml.network), maml, episode[0], 0.4)
    np.testing.assert_array_equal(walked.at(2)(episode[1]), TrainedAnswers(maml, episode[0])(episode[1]))


def test_fine_tuned_answers_at_a_rate_of_nothing_are_those_of_the_features_as_they_are(bench, learner, episode):
    module = bench("experiments_matching")
    tuned = module.TunedAnswers(learner, episode[0], 3, 0.0)
    np.testing.assert_array_equal(tuned(episode[1]), module.plain(learner, episode[0], None)(episode[1]))
