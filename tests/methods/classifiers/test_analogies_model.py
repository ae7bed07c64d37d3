import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from likewise.methods.classifiers import analogies_model
from likewise.methods.classifiers.analogies_model import AnalogyRegressor, analogy_loss, generated_examples, mined_analogies

CLASSES, CLUSTERS, WIDTH = 4, 3, 5


@pytest.fixture
def centres():
    return torch.randn(CLASSES, CLUSTERS, WIDTH, generator=torch.Generator().manual_seed(11))


def brute_force(centres):
    """Rows (a, b, c, d) and cosines, one pair after another."""
    flat = centres.flatten(0, 1)
    pairs = [(a, b) for a, b in itertools.permutations(range(len(flat)), 2) if a // CLUSTERS == b // CLUSTERS]

    def unit(first, second):
        difference = flat[first] - flat[second]
        return difference / (difference.norm() + 1e-5)

    found = []
    for a, b in pairs:
        cosines = {(c, d): float(unit(a, b) @ unit(c, d)) for c, d in pairs if c // CLUSTERS != a // CLUSTERS}
        best = max(cosines, key=cosines.get)
        if cosines[best] > 0:
            found.append(((a, b, *best), cosines[best]))
    return found


@pytest.mark.parametrize("rows", [2, 2048])
def test_mined_analogies_are_those_of_trying_every_pair(centres, rows, monkeypatch):
    monkeypatch.setattr(analogies_model, "ROWS", rows)
    found, expected = mined_analogies(centres), brute_force(centres)
    assert [tuple(row) for row in found.rows.tolist()] == [row for row, _ in expected]
    assert found.scores.tolist() == pytest.approx([score for _, score in expected], abs=1e-6)


def test_an_exact_parallel_in_another_class_is_found_and_one_without_any_is_left_out():
    step = torch.tensor([1.0, 0, 0])
    centres = torch.stack([torch.stack([torch.zeros(3), 2 * step]), torch.stack([torch.full((3,), 5.0), torch.full((3,), 5.0) + step])])
    assert mined_analogies(centres).rows.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
    centres[1, 1] = centres[1, 0] + torch.tensor([0.0, 1, 0])
    assert mined_analogies(centres).rows.tolist() == []


def test_one_class_or_one_cluster_alone_has_no_analogies(centres):
    for too_few in (centres[:1], centres[:, :1]):
        with pytest.raises(ValueError, match="two clusters of a class and two of another"):
            mined_analogies(too_few)


def test_the_regressor_learns_the_analogies_of_clusters(centres):
    torch.manual_seed(0)
    base = centres.relu()
    rows = mined_analogies(base).rows
    regressor, classifier = AnalogyRegressor(WIDTH, 32), torch.randn(CLASSES, WIDTH)
    optimiser = torch.optim.Adam(regressor.parameters(), 0.01)
    losses = []
    for _ in range(150):
        loss = analogy_loss(regressor, classifier, base, rows)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        losses.append([float(part.detach()) for part in (loss.total, loss.classes, loss.squares)])
    assert losses[-1][2] < 0.2 * losses[0][2]
    assert losses[-1][1] < losses[0][1]
    assert losses[-1][0] == pytest.approx(losses[-1][1] + 10 * losses[-1][2], rel=1e-5)


def test_the_regressor_reads_seed_c_and_d_in_this_order(centres):
    regressor = AnalogyRegressor(WIDTH, WIDTH)
    with torch.no_grad():
        for layer in (regressor.fc1, regressor.fc2, regressor.fc3):
            torch.nn.init.eye_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        regressor.fc1.weight.copy_(torch.cat([100 * torch.eye(WIDTH), 10 * torch.eye(WIDTH), torch.eye(WIDTH)], dim=1))
        seed, c, d = centres.abs()[:3]
        torch.testing.assert_close(regressor(seed, c, d), 100 * seed + 10 * c + d)


def test_the_loss_asks_for_b_and_for_the_class_of_b(centres):
    class ThirdOne(AnalogyRegressor):
        def forward(self, seed, c, d):
            return d

    rows = torch.tensor([[0, 2, 7, 8], [4, 3, 10, 9]])  # classes of b: 0 and 1, of d: 2 and 3
    classifier = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(1))
    b, d = centres.flatten(0, 1)[[2, 3]], centres.flatten(0, 1)[[8, 9]]
    found = analogy_loss(ThirdOne(WIDTH, 2), classifier, centres, rows, weight=3)
    torch.testing.assert_close(found.classes, cross_entropy(d @ classifier.T, torch.tensor([0, 1])))
    torch.testing.assert_close(found.squares, (d - b).square().mean())
    torch.testing.assert_close(found.total, found.classes + 3 * found.squares)


def test_classes_are_filled_up_with_examples_that_start_at_their_own(centres):
    class Carried(AnalogyRegressor):
        def forward(self, seed, c, d):
            return seed + 1000 * (d - c)

    features = torch.arange(6.0)[:, None].expand(6, WIDTH)
    labels = torch.tensor([7, 2, 7, 2, 2, 9])
    flat = centres[..., :1].expand_as(centres).contiguous()
    found, found_labels = generated_examples(Carried(WIDTH), features, labels, flat, np.random.RandomState(3), per_class=3)
    assert torch.equal(found[:6], features)
    assert found_labels.tolist() == [7, 2, 7, 2, 2, 9, 7, 9, 9]  # class 2 has three, class 7 lacks one, class 9 two
    differences = {round(float(1000 * (one[j, 0] - one[i, 0])), 2): None for one in flat for i in range(CLUSTERS) for j in range(CLUSTERS)}
    for row, label in zip(found[6:], found_labels[6:], strict=True):
        seeds = features[labels == label, 0]
        assert any(min(abs(float(row[0] - seed) - step) for step in differences) < 0.05 for seed in seeds)


def test_a_class_with_more_examples_than_wanted_keeps_them_all(centres):
    features, labels = torch.rand(4, WIDTH), torch.tensor([1, 1, 1, 1])
    found, found_labels = generated_examples(AnalogyRegressor(WIDTH, 8), features, labels, centres, np.random.RandomState(0), per_class=2)
    assert torch.equal(found, features)
    assert torch.equal(found_labels, labels)
