"""Prototypes of classes against scikit-learn's nearest centroids, growing sums, and scores by hand."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestCentroid

from likewise.functional.prototypes import ClassSums, class_sums, cosine_scores, distance_head, distance_scores


def rows(count, width, seed=3):
    return torch.randn((count, width), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_nearest_prototype_is_scikit_learns_nearest_centroid():
    images, classes = load_digits(return_X_y=True)
    images = images + np.random.default_rng(6).normal(0, 0.01, images.shape)  # the reference warns of columns that are constant
    features, labels = torch.from_numpy(images), torch.from_numpy(classes)
    prototypes = class_sums(features[:60], labels[:60], 10).means()
    reference = NearestCentroid().fit(images[:60], classes[:60])
    np.testing.assert_allclose(prototypes.numpy(), reference.centroids_)
    assert np.array_equal(distance_scores(features[60:], prototypes).argmax(dim=1).numpy(), reference.predict(images[60:]))


def test_scores_are_negative_squared_distances():
    queries, prototypes = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 2.0], [4.0, 6.0], [0.0, -3.0]])
    assert distance_scores(queries, prototypes).tolist() == [[0.0, -25.0, -26.0], [-5.0, -52.0, -9.0]]


def test_the_linear_layer_gives_the_scores_but_for_the_length_of_the_query():
    queries, prototypes = rows(7, 5), rows(3, 5, 8)
    weight, bias = distance_head(prototypes)
    torch.testing.assert_close(queries @ weight.T + bias - queries.square().sum(dim=1, keepdim=True), distance_scores(queries, prototypes))


def test_differences_keep_their_digits_where_vectors_are_long():
    far = torch.full((1, 3), 4096.0)
    close = far + torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.25, 0.0]])
    assert distance_scores(far, close).tolist() == [[-0.25, -0.0625]]


def test_sums_that_grow_are_the_sums_of_all():
    features, labels = rows(9, 4), torch.tensor([0, 1, 0, 1, 2, 0, 2, 1, 1])
    grown = class_sums(features[:4], labels[:4], 2).plus(features[4:6], labels[4:6]).plus(features[6:], labels[6:])
    whole = class_sums(features, labels, 3)
    torch.testing.assert_close(grown.means(), whole.means())
    assert grown.counts.tolist() == [3, 4, 2]
    assert grown.plus(features[:0], labels[:0]).counts.tolist() == [3, 4, 2]


def test_growing_leaves_what_was_known_as_it_was():
    before = class_sums(rows(3, 4), torch.tensor([0, 1, 1]), 2)
    kept = ClassSums(before.sums.clone(), before.counts.clone())
    before.plus(rows(2, 4, 5), torch.tensor([1, 0]))
    assert torch.equal(before.sums, kept.sums)
    assert torch.equal(before.counts, kept.counts)


def test_a_class_without_example_has_no_prototype():
    with pytest.raises(ValueError, match=r"\[1\] have no example"):
        class_sums(rows(2, 3), torch.tensor([0, 2]), 3).means()


def test_cosines_know_no_lengths():
    queries, prototypes = rows(4, 6), rows(3, 6, 9)
    found = cosine_scores(queries, prototypes, 20.0)
    torch.testing.assert_close(cosine_scores(7 * queries, 0.1 * prototypes, 20.0), found)
    expected = torch.cosine_similarity(queries[:, None], prototypes[None], dim=-1)
    torch.testing.assert_close(found, 20 * expected)
    assert cosine_scores(torch.zeros(1, 6, dtype=torch.float64), prototypes).tolist() == [[0, 0, 0]]
