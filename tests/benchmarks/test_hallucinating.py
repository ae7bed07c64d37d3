"""Further examples of a support: where they stand, and what compares them."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from likewise.episodes.classification.benchmark import Asked, ClassBenchmark, Item
from likewise.methods.classifiers.analogies import RegressorTraining
from likewise.methods.classifiers.analogies_model import AnalogyRegressor
from likewise.methods.classifiers.dagan_model import DaganConfig, DaganGenerator
from likewise.methods.classifiers.hallucinator import HallucinatorTraining


@pytest.fixture
def features():
    """Supports (N, K, D) and queries (M, D) of ten numbers, and the class of each query."""
    generator = torch.Generator().manual_seed(2)
    middles = torch.randn(4, 10, generator=generator)
    supports = middles[:, None] + 0.5 * torch.randn(4, 3, 10, generator=generator)
    return supports, middles.repeat_interleave(5, dim=0) + 0.5 * torch.randn(20, 10, generator=generator)


def test_the_nearest_example_is_that_of_scikit_learn(bench, features):
    supports, queries = (torch.nn.functional.normalize(part, dim=-1) for part in features)
    reference = KNeighborsClassifier(1, metric="cosine").fit(supports.flatten(0, 1).numpy(), np.repeat(np.arange(4), 3)).predict(queries.numpy())
    np.testing.assert_array_equal(bench("hallucinating").nearest_compared(supports, queries).argmax(dim=1).numpy(), reference)


def test_cosine_matching_of_one_shot_is_the_nearest_by_cosine(bench, features):
    supports, queries = features[0][:, :1], features[1]
    reference = KNeighborsClassifier(1, metric="cosine").fit(supports[:, 0].numpy(), np.arange(4)).predict(queries.numpy())
    np.testing.assert_array_equal(bench("experiments").cosine_matching(supports, queries).argmax(dim=1).numpy(), reference)


def test_prototypes_are_the_nearest_centroids_of_scikit_learn(bench, features):
    supports, queries = features
    reference = NearestCentroid().fit(supports.flatten(0, 1).numpy(), np.repeat(np.arange(4), 3)).predict(queries.numpy())
    np.testing.assert_array_equal(bench("experiments").prototypes(supports, queries).argmax(dim=1).numpy(), reference)


def test_noise_of_zeros_says_the_same_as_seeds_without_noise_and_noise_counts(bench, features):
    frozen, seen = bench("frozen_hallucinator"), []
    torch.manual_seed(0)
    hallucinator = frozen.Hallucinator(10, 10)
    for layer in (hallucinator.fc1, hallucinator.fc2, hallucinator.fc3):
        torch.nn.init.normal_(layer.weight)

    def compared(supports, queries):
        seen.append(supports)
        return bench("experiments").prototypes(supports, queries)

    supports = features[0][:, :1]
    for silent in (True, False):
        frozen.hallucinator_compared(hallucinator, compared, 3, silent=silent)(supports, features[1])
    expected = hallucinator(supports, torch.zeros(4, 1, 10)).detach()
    torch.testing.assert_close(seen[0], torch.cat([supports, expected.expand(-1, 3, -1)], dim=1))
    assert not torch.allclose(seen[1][:, 1], seen[1][:, 2])


def test_hallucinated_examples_stand_behind_the_real_ones_of_their_class(bench, features):
    hallucinating, seen = bench("hallucinating"), []
    centres = torch.rand(6, 5, 10, generator=torch.Generator().manual_seed(0))

    def compared(supports, queries):
        seen.append(supports)
        return queries @ supports.mean(dim=1).T

    found = hallucinating.Analogous(AnalogyRegressor(10, 16), centres, torch.tensor(2.5))
    compare = hallucinating.analogy_compared(found, compared, 4)
    again = compare(*features)
    torch.testing.assert_close(compare(*features), again, rtol=0, atol=0)
    assert seen[0].shape == (4, 7, 10)
    torch.testing.assert_close(seen[0][:, :3], features[0])
    assert bool((seen[0][:, 3:] >= 0).all())


def test_a_regressor_learns_analogies_and_is_kept_whole(bench, tmp_path):
    hallucinating, rng = bench("hallucinating"), np.random.default_rng(0)
    middles = rng.uniform(1, 3, (6, 1, 8))
    shifts = np.array([[0.0] * 8, [1.0, 0, 1, 0, 0, 0, 0, 0]])[np.arange(14) % 2]  # the same two modes in every class
    classes = [torch.from_numpy(row).float() for row in middles + shifts + 0.02 * rng.random((6, 14, 8))]
    found, told = hallucinating.analogies_of(torch.from_numpy(middles[:, 0]).float(), classes, RegressorTraining(steps=400, drop_every=200))
    assert told.rows > 0
    assert told.last < 0.8 * told.first
    hallucinating.save_analogies(found, tmp_path / "kept.safetensors")
    kept = hallucinating.read_analogies(tmp_path / "kept.safetensors")
    seed, c, d = torch.rand(3, 2, 8)
    torch.testing.assert_close(kept.regressor(seed, c, d), found.regressor(seed, c, d))
    torch.testing.assert_close(kept.centres, found.centres)
    torch.testing.assert_close(kept.scale, found.scale)


def test_features_a_hundred_times_as_large_have_the_same_analogies(bench):
    hallucinating, rng = bench("hallucinating"), np.random.default_rng(0)
    classes = [torch.from_numpy(rng.uniform(0, 2, (1, 8)) + rng.random((9, 8))).float() for _ in range(5)]
    weights, training = torch.from_numpy(rng.standard_normal((5, 8))).float(), RegressorTraining(steps=60, drop_every=30)
    small, told = hallucinating.analogies_of(weights, classes, training)
    large, told_large = hallucinating.analogies_of(weights / 128, [128 * features for features in classes], training)
    assert told_large.last == pytest.approx(told.last, rel=1e-3)
    torch.testing.assert_close(large.centres, small.centres)
    torch.testing.assert_close(large.scale, 128 * small.scale)


def test_images_of_a_picture_are_made_once_and_only_of_supports_count(bench):
    hallucinating, seen = bench("hallucinating"), []
    benchmark = ClassBenchmark("noise", {}, lambda item: np.random.default_rng(item.place).integers(0, 255, (40, 36, 3)).astype(np.uint8))
    torch.manual_seed(0)
    network = DaganGenerator(DaganConfig(widths=(4, 6, 8, 10), inner=1))

    def compared(supports, queries):
        seen.append((supports, queries))
        return hallucinating.nearest_compared(supports, queries)

    asked = Asked([[Item(0)], [Item(1)]], [[Item(2), Item(3)], [Item(1), Item(4)]])
    answers = hallucinating.FeatureAnswers(hallucinating.DaganFeatures(None, benchmark, network, 3), compared)
    first = answers(asked)
    assert first.shape == (4,)
    assert first[2] == 1  # the query that is a support itself
    np.testing.assert_array_equal(answers(asked), first)
    supports, queries = seen[0]
    assert supports.shape == (2, 4, 28 * 28)
    assert queries.shape == (4, 28 * 28)
    torch.testing.assert_close(seen[1][0], supports, rtol=0, atol=0)
    torch.testing.assert_close(queries[2], supports[1, 0])


def test_further_drawings_are_between_paper_and_ink(bench):
    torch.manual_seed(0)
    network, ink = DaganGenerator(DaganConfig(widths=(4, 6, 8, 10), inner=1)), torch.rand(2, 1, 28, 28)
    made = bench("hallucinating").further_ink(network, ink, 3)
    assert made.shape == (2, 3, 1, 28, 28)
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    torch.testing.assert_close(bench("hallucinating").further_ink(network, ink, 3), made)


def test_features_without_sign_say_the_same_of_a_point_and_keep_distances_between_points_of_one_sign(bench):
    vectors = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    found = bench("frozen_hallucinator").unsigned(vectors)
    assert bool((found >= 0).all())
    torch.testing.assert_close(found[:, :7] - found[:, 7:], vectors)
    alike = torch.cat([vectors, 2 * vectors])
    torch.testing.assert_close(torch.cdist(bench("frozen_hallucinator").unsigned(alike), bench("frozen_hallucinator").unsigned(alike))[0, 5], vectors[0].norm())


def test_a_hallucinator_moves_from_where_it_began_the_same_way_each_time(bench):
    frozen = bench("frozen_hallucinator")
    generator = torch.Generator().manual_seed(0)
    classes = [5 * torch.rand(1, 6, generator=generator) + torch.rand(12, 6, generator=generator) for _ in range(8)]
    training = HallucinatorTraining(n_way=4, n_shot=(1, 2), n_episodes=30)
    one, other = (frozen.trained_hallucinator(classes, training) for _ in range(2))
    seeds, noise = torch.rand(2, 3, 6, generator=generator)
    torch.testing.assert_close(one(seeds, noise), other(seeds, noise), rtol=0, atol=0)
    assert not torch.allclose(one(seeds, noise), frozen.Hallucinator(6, 6)(seeds, noise))  # no longer the identity that it began as
