import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from likewise.methods.classifiers.analogies import RegressorTraining, base_classifier, clusters_of_classes, cycled_batches, learned_analogies, regressor_steps
from likewise.methods.classifiers.analogies_model import AnalogyRegressor, analogy_loss, mined_analogies

CLUSTERS = 4


@pytest.fixture(scope="module")
def base():
    """Centres of clusters of six digits, and a linear classifier of them."""
    features, labels = load_digits(return_X_y=True)
    classes = [features[labels == digit] / 16 for digit in range(6)]
    centres = clusters_of_classes(classes, CLUSTERS, np.random.RandomState(0))
    means = torch.stack([torch.from_numpy(one).float().mean(dim=0) for one in classes])
    return centres, means - means.mean(dim=0)


def test_batches_go_through_one_order_again_and_again():
    found = [batch.tolist() for batch in itertools.islice(cycled_batches(7, 3, np.random.RandomState(5)), 7)]
    assert [len(batch) for batch in found] == [3, 3, 1, 3, 3, 1, 3]
    assert found[:3] == found[3:6]
    order = list(itertools.chain(*found[:3]))
    assert sorted(order) == list(range(7))
    assert order != list(range(7))


def test_every_class_has_its_own_clusters(base):
    centres, _ = base
    assert centres.shape == (6, CLUSTERS, 64)
    features, labels = load_digits(return_X_y=True)
    third = torch.from_numpy(features[labels == 2] / 16).float()
    used = torch.cdist(third, centres[2]).argmin(dim=1).unique()
    for cluster in used.tolist():
        own = third[torch.cdist(third, centres[2]).argmin(dim=1) == cluster]
        torch.testing.assert_close(centres[2, cluster], own.mean(dim=0), atol=0.05, rtol=0)


def test_training_on_digits_lowers_both_terms(base):
    centres, classifier = base
    torch.manual_seed(0)
    regressor = AnalogyRegressor(64, 48)
    rows = mined_analogies(centres).rows
    training = RegressorTraining(steps=150, batch=16)
    losses = list(regressor_steps(regressor, classifier, centres, rows, training, np.random.RandomState(1)))
    assert len(losses) == 150
    assert float(losses[-1].squares) < 0.6 * float(losses[0].squares)
    assert float(losses[-1].classes) < float(losses[0].classes)


def test_the_rate_falls_to_a_tenth_and_the_first_step_is_not_dampened(base):
    centres, classifier = base
    torch.manual_seed(0)
    regressor = AnalogyRegressor(64, 8)
    rows = mined_analogies(centres).rows
    training = RegressorTraining(steps=2, drop_every=1, batch=len(rows), weight_decay=0, momentum=0.9, dampening=0.9)
    before = regressor.fc3.bias.detach().clone()
    states, gradients = [], []
    gradients.append(_gradient(regressor, classifier, centres, rows))
    for _ in regressor_steps(regressor, classifier, centres, rows, training, np.random.RandomState(1)):
        states.append(regressor.fc3.bias.detach().clone())
        gradients.append(_gradient(regressor, classifier, centres, rows))
    torch.testing.assert_close(states[0], before - 0.1 * gradients[0])
    torch.testing.assert_close(states[1], states[0] - 0.01 * (0.9 * gradients[0] + 0.1 * gradients[1]))


def _gradient(regressor, classifier, centres, rows):
    loss = analogy_loss(regressor, classifier, centres, rows)
    return torch.autograd.grad(loss.total, regressor.fc3.bias)[0]


def test_the_base_classifier_stays_as_it_is(base):
    centres, classifier = base
    before = classifier.clone()
    rows = mined_analogies(centres).rows
    for _ in regressor_steps(AnalogyRegressor(64, 8), classifier, centres, rows, RegressorTraining(steps=3), np.random.RandomState(1)):
        pass
    assert torch.equal(classifier, before)
    assert not classifier.requires_grad


def test_there_is_nothing_to_train_on_without_analogies(base):
    centres, classifier = base
    rows = torch.zeros(0, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match="no analogies"):
        next(regressor_steps(AnalogyRegressor(64, 8), classifier, centres, rows, RegressorTraining(), np.random.RandomState(1)))


@pytest.fixture(scope="module")
def digits():
    features, labels = load_digits(return_X_y=True)
    return [torch.from_numpy(features[labels == digit]).float() / 16 for digit in range(10)]


def test_the_classifier_of_the_base_classes_is_that_of_another_library(digits):
    classes, decay = digits[:3], 0.01
    count = sum(len(own) for own in classes)
    outside = LogisticRegression(C=1 / (decay * count), fit_intercept=False, tol=1e-9, max_iter=2000)
    outside.fit(torch.cat(classes).numpy(), np.repeat(np.arange(3), [len(own) for own in classes]))
    np.testing.assert_allclose(base_classifier(classes, decay=decay).numpy(), outside.coef_, atol=2e-3)


def test_analogies_of_some_digits_fill_up_classes_of_others(digits):
    training = RegressorTraining(steps=300, batch=32)
    state = torch.get_rng_state()
    analogies = learned_analogies(digits[:6], clusters=CLUSTERS, inner=64, training=training)
    assert torch.equal(torch.get_rng_state(), state)
    given, labels = torch.cat([digits[8][:1], digits[9][:6]]), torch.tensor([8] + [9] * 6)
    features, filled = analogies.enlarged(given, labels, per_class=5)
    assert torch.equal(features[:7], given)
    assert filled.tolist() == [8] + [9] * 6 + [8] * 4
    own, other = (torch.cdist(features[7:], digits[place].mean(dim=0)[None]).mean() for place in (8, 0))
    assert float(own) < float(other)
    again = learned_analogies(digits[:6], clusters=CLUSTERS, inner=64, training=training).enlarged(given, labels, per_class=5)[0]
    assert torch.equal(again, features)


def test_classes_smaller_than_their_clusters_are_refused(digits):
    with pytest.raises(ValueError, match="4 clusters of a class with 3 features"):
        learned_analogies([digits[0], digits[1][:3]], clusters=CLUSTERS)
