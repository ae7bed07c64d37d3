import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cosine_similarity, cross_entropy
from torch.nn.utils.parametrizations import weight_norm

from likewise.methods.classifiers.baseline_model import (
    CosineHead,
    Tuning,
    cosine_factor,
    cosine_scores,
    drawn_orders,
    first_cosine,
    first_linear,
    linear_scores,
    merged_cosine,
    tuned,
    tuning_steps,
)

WAY, SHOT, WIDTH = 3, 4, 6


@pytest.fixture
def support():
    generator = torch.Generator().manual_seed(5)
    centres = torch.randn(WAY, 1, WIDTH, generator=generator)
    features = (centres + 0.4 * torch.randn(WAY, SHOT, WIDTH, generator=generator)).flatten(0, 1)
    return features, torch.arange(WAY).repeat_interleave(SHOT)


def orders_of(epochs, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(WAY * SHOT, generator=generator) for _ in range(epochs)])


def test_scores_of_a_cosine_head_with_equal_norms_are_a_cosine_softmax(support):
    features, _ = support
    directions = torch.randn(WAY, WIDTH, generator=torch.Generator().manual_seed(2))
    found = cosine_scores({"weight_v": directions, "weight_g": torch.ones(WAY, 1)}, features, 10.0)
    expected = 10 * cosine_similarity(features[:, None], directions[None], dim=2)
    torch.testing.assert_close(found.softmax(dim=1), expected.softmax(dim=1), rtol=2e-4, atol=1e-6)


def test_a_cosine_head_is_a_weight_normalised_layer_on_unit_features(support):
    features, _ = support
    layer = weight_norm(torch.nn.Linear(WIDTH, WAY, bias=False), dim=0)
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    with torch.no_grad():
        g *= torch.tensor([[0.5], [2.0], [1.5]])
        unit = features / (features.norm(dim=1, keepdim=True) + 1e-5)
        torch.testing.assert_close(cosine_scores({"weight_v": v, "weight_g": g}, features, 2.0), 2 * layer(unit))


def test_a_feature_of_zeros_has_scores_of_zero():
    assert torch.equal(CosineHead(WAY, WIDTH)(torch.zeros(2, WIDTH)), torch.zeros(2, WAY))


def test_one_matrix_gives_the_scores_of_a_cosine_head(support):
    features, _ = support
    head = first_cosine(WAY, WIDTH, torch.Generator().manual_seed(0))
    head["weight_g"] = head["weight_g"] * torch.tensor([[3.0], [0.2], [1.0]])
    unit = features / (features.norm(dim=1, keepdim=True) + 1e-5)
    torch.testing.assert_close(unit @ merged_cosine(head, 10.0).T, cosine_scores(head, features, 10.0))


def test_more_than_two_hundred_outputs_have_sharper_scores():
    assert (cosine_factor(200), cosine_factor(201)) == (2, 10)


def test_an_untrained_linear_head_is_drawn_as_torch_draws_its_layers():
    torch.manual_seed(9)
    layer = torch.nn.Linear(WIDTH, WAY)
    head = first_linear(WAY, WIDTH, torch.Generator().manual_seed(9))
    torch.testing.assert_close(head["weight"], layer.weight.detach())
    torch.testing.assert_close(head["bias"], layer.bias.detach())


@pytest.mark.parametrize(("first", "scores"), [(first_linear, linear_scores), (first_cosine, lambda head, x: cosine_scores(head, x, 2.0))])
def test_episodes_side_by_side_are_tuned_as_each_alone(support, first, scores):
    features, labels = support
    both = torch.stack([features, features.roll(5, dims=0)])
    orders = torch.stack([orders_of(3, seed=1), orders_of(3, seed=2)])
    starts = [first(WAY, WIDTH, torch.Generator().manual_seed(seed)) for seed in (6, 7)]
    tuning = Tuning(epochs=3, batch=5)
    alone = [tuned(scores, starts[e], both[e], labels, orders[e], tuning) for e in range(2)]
    together = tuned(scores, {name: torch.stack([start[name] for start in starts]) for name in starts[0]}, both, torch.stack([labels, labels]), orders, tuning)
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack([one[name] for one in alone]))


def test_dampening_leaves_the_first_step_and_shortens_the_second(support):
    features, labels = support
    start = first_linear(WAY, WIDTH, torch.Generator().manual_seed(8))
    tuning = Tuning(batch=WAY * SHOT, rate=0.1, weight_decay=0.5)
    steps = [{name: value.clone() for name, value in state.items()} for state in tuning_steps(linear_scores, start, features, labels, orders_of(2), tuning)]

    def gradient(head):
        leaf = {name: value.clone().requires_grad_() for name, value in head.items()}
        loss = cross_entropy(linear_scores(leaf, features), labels)
        return {name: value + 0.5 * leaf[name].detach() for name, value in zip(leaf, torch.autograd.grad(loss, list(leaf.values())), strict=True)}

    first, second = gradient(start), gradient(steps[0])
    for name in start:
        torch.testing.assert_close(steps[0][name], start[name] - 0.1 * first[name])
        torch.testing.assert_close(steps[1][name], steps[0][name] - 0.1 * (0.9 * first[name] + 0.1 * second[name]))


def test_the_last_batch_of_an_epoch_is_shorter_and_counts_by_its_mean(support):
    features, labels = support
    start, orders = first_linear(WAY, WIDTH, torch.Generator().manual_seed(8)), orders_of(4)
    tuning = Tuning(epochs=2, batch=5, rate=0.1, momentum=0, dampening=0, weight_decay=0)
    steps = [{name: value.clone() for name, value in state.items()} for state in tuning_steps(linear_scores, start, features, labels, orders, tuning)]
    assert len(steps) == 2 * 3
    left = orders[0, 10:]
    bias = steps[1]["bias"].clone().requires_grad_()
    cross_entropy(linear_scores({**steps[1], "bias": bias}, features[left]), labels[left]).backward()
    torch.testing.assert_close(steps[2]["bias"], steps[1]["bias"] - 0.1 * bias.grad)


def test_orders_of_a_support_are_the_permutations_of_the_generator():
    found = drawn_orders(7, 3, np.random.RandomState(4))
    again = np.random.RandomState(4)
    assert found.tolist() == [again.permutation(7).tolist() for _ in range(3)]


def test_tuning_leaves_its_start_and_the_random_state_alone(support):
    features, labels = support
    start = first_cosine(WAY, WIDTH, torch.Generator().manual_seed(8))
    before, state = {name: value.clone() for name, value in start.items()}, torch.get_rng_state()
    tuned(lambda head, x: cosine_scores(head, x, 2.0), start, features, labels, orders_of(2), Tuning())
    assert all(torch.equal(start[name], before[name]) for name in start)
    assert torch.equal(torch.get_rng_state(), state)


def test_long_tuning_of_the_linear_head_ends_at_logistic_regression(support):
    features, labels = support
    tuning = Tuning(epochs=4000, batch=WAY * SHOT, rate=0.5, weight_decay=0.02)
    start = first_linear(WAY, WIDTH, torch.Generator().manual_seed(8))
    features = torch.cat([features, torch.ones(len(features), 1)], dim=1)  # the bias decays as well: a feature of ones has its part
    head = tuned(
        lambda parameters, x: x @ parameters["weight"].mT,
        {"weight": torch.cat([start["weight"], start["bias"][:, None]], 1)},
        features,
        labels,
        orders_of(4000),
        tuning,
    )
    reference = LogisticRegression(C=1 / (0.02 * len(features)), fit_intercept=False, tol=1e-8, max_iter=5000)
    reference.fit(features.numpy().astype(np.float64), labels.numpy())
    assert np.abs(head["weight"].numpy() - reference.coef_).max() < 2e-3
