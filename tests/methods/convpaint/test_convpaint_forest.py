"""The forest as tensors against scikit-learn's own."""

import sys

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from likewise.errors import MissingExtraError
from likewise.methods.convpaint.forest import answers, grown


def rows_of(seed, count=120, width=5):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, width)).astype(np.float32)
    places = (rows[:, 0] + 0.5 * random.normal(size=count) > 0).astype(np.int64) * 2  # 0 and 2 of four
    return torch.from_numpy(rows), torch.from_numpy(places), torch.from_numpy(random.uniform(0.2, 1, count).astype(np.float32))


def theirs(rows, places, weight, trees, seed):
    order = np.array(sorted(range(len(rows)), key=lambda row: rows[row].numpy().tobytes()))
    forest = RandomForestClassifier(n_estimators=trees, random_state=seed)
    return forest.fit(rows.numpy()[order], places.numpy()[order], sample_weight=weight.numpy()[order].astype(np.float64))


@pytest.mark.parametrize("seed", [0, 3])
def test_probabilities_are_those_of_scikit_learn(seed):
    rows, places, weight = rows_of(1)
    found = answers(rows_of(2, 300)[0], grown(rows, places, weight, 4, trees=9, seed=seed))
    expected = theirs(rows, places, weight, 9, seed).predict_proba(rows_of(2, 300)[0].numpy())
    assert np.abs(found[:, [0, 2]].numpy() - expected).max() < 1e-6
    assert found[:, [1, 3]].abs().max() == 0


def test_rows_at_the_thresholds_go_where_they_go_in_scikit_learn():
    """Neighbouring numbers of single precision: a threshold between them is neither."""
    first = np.float32(1000)  # at less scikit-learn takes neighbours for equal
    second = np.nextafter(first, np.float32(2000))
    third = np.nextafter(second, np.float32(2000))
    rows, places = torch.tensor([[first], [second], [third]] * 10), torch.tensor([0, 1, 0] * 10)
    forest = grown(rows, places, torch.ones(30), 2, trees=7)
    assert torch.equal(answers(rows, forest).argmax(dim=1), places)


def test_the_order_of_rows_does_not_matter():
    rows, places, weight = rows_of(4)
    mixed = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
    one, two = grown(rows, places, weight, 4, trees=5), grown(rows[mixed], places[mixed], weight[mixed], 4, trees=5)
    assert one.keys() == two.keys()
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_one_class_alone_is_certain():
    rows = rows_of(5)[0]
    found = answers(rows, grown(rows, torch.ones(len(rows), dtype=torch.long), torch.ones(len(rows)), 3, trees=3))
    assert torch.equal(found, torch.tensor([0.0, 1, 0]).expand(len(rows), -1))


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtraError, match=r"likewise\[forest\]"):
        grown(*rows_of(6), 4)
