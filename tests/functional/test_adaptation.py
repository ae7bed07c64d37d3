"""Shifts of features and of presence, from unlabelled images: against brute force, and where the truth is known."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from likewise.functional.adaptation import APART, SHIFT, mutual_pairs, presence_shift, shift_to
from likewise.functional.even_draw import drawn_names, drawn_rows


def clusters(counts, seed, moved=0.0, images=4):
    """Tokens (2, M / images, 5) of images in two layers: together as many as `counts` says around each of three places, moved by one vector."""
    noise = torch.Generator().manual_seed(seed)
    places = 9 * torch.eye(3, 5)
    rows = torch.cat([places[kind] + 0.3 * torch.randn(2, count, 5, generator=noise) for kind, count in enumerate(counts)], dim=1)
    return [part + moved * torch.tensor([0.5, -1.0, 0.2, 1.5, -0.7]) for part in rows[:, torch.randperm(rows.shape[1], generator=noise)].chunk(images, dim=1)]


def test_pairs_are_rows_that_are_each_others_nearest():
    one, other = (torch.nn.functional.normalize(torch.randn(count, 4, generator=torch.Generator().manual_seed(count)), dim=1) for count in (7, 9))
    alike = (one @ other.T).numpy()
    expected = [(i, j) for i in range(7) for j in range(9) if alike[i, j] == alike[i].max() == alike[:, j].max()]
    mine, theirs = mutual_pairs(one, other)
    assert list(zip(mine.tolist(), theirs.tolist(), strict=True)) == expected
    assert len(expected) > 1


def test_a_shift_is_found_although_the_folder_shows_other_things_more_often():
    support, folder = clusters((120, 30, 10), seed=1), clusters((10, 40, 150), seed=2, moved=1.0)
    expected = -torch.tensor([0.5, -1.0, 0.2, 1.5, -0.7])
    found = shift_to(support, folder)
    by_means = torch.cat(support, dim=1).mean(1) - torch.cat(folder, dim=1).mean(1)
    assert found.shape == (2, 5)
    assert torch.cosine_similarity(found, expected[None], dim=1).min() > 0.9
    assert expected.norm() / 3 < found.norm(dim=1).min() <= found.norm(dim=1).max() < expected.norm()
    assert (by_means - expected).norm(dim=1).min() > 5


def test_without_a_shift_next_to_none_is_found():
    assert shift_to(clusters((120, 30, 10), seed=1), clusters((10, 40, 150), seed=2)).norm(dim=1).max() < 0.1


def test_images_that_differ_among_themselves_as_much_as_from_the_examples_are_not_shifted():
    noise = torch.Generator().manual_seed(7)
    folder = [image + 0.8 * torch.randn(2, 1, 5, generator=noise) for image in clusters((40, 40, 40), seed=2, images=6)]
    support = [image + 0.8 * torch.randn(2, 1, 5, generator=noise) for image in clusters((20, 20, 20), seed=1, images=3)]
    assert torch.equal(shift_to(support, folder), torch.zeros(2, 5))
    far = [image + torch.tensor([1.5, -3.0, 0.6, 4.5, -2.1]) for image in folder]
    assert shift_to(support, far).norm(dim=1).min() > 1
    assert shift_to(support[:1], far).norm(dim=1).min() > 1
    assert torch.equal(shift_to(support[:1], far[:1]), torch.zeros(2, 5))  # two pictures alone may just be two pictures


def test_without_tokens_nothing_is_shifted_and_other_layers_are_refused():
    assert torch.equal(shift_to([torch.randn(2, 4, 3)], [torch.zeros(2, 0, 3)]), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"\(2, 4, 3\)"):
        shift_to([torch.randn(2, 4, 3)], [torch.randn(1, 4, 3)])


def test_the_shift_of_presence_is_the_mean_over_all_shifts_shares_and_distances():
    log_odds = np.array([2.5, 1.9, 3.2, -0.4, 2.2])
    total = weights = 0.0
    for shift in np.linspace(-6, 6, 49):
        for share in np.linspace(0.02, 0.98, 25):
            for apart in APART:
                yes, no = (norm.pdf(log_odds + shift, sign * apart / 2, apart**0.5) for sign in (1, -1))
                likelihood = np.prod(share * yes + (1 - share) * no)
                weight = likelihood * norm.pdf(shift, 0, SHIFT) * (share * (1 - share)) ** -0.5
                total, weights = total + weight * (shift + np.log(share / (1 - share))), weights + weight
    assert float(presence_shift(torch.tensor(log_odds)[:, None])[0]) == pytest.approx(total / weights, abs=1e-6)


def test_two_heaps_of_images_are_parted_between_them_and_one_heap_is_not_parted():
    noise = np.random.default_rng(0)
    heaps = np.concatenate([noise.normal(4.5, 1, 12), noise.normal(-0.5, 1, 28)])  # a curve that is off: even images without it are called even
    shown = noise.normal(4.0, 1.2, 40)
    found = presence_shift(torch.tensor(np.stack([heaps, shown], axis=1)))
    assert ((torch.tensor(heaps) + found[0] > 0) == (torch.arange(40) < 12)).float().mean() > 0.9
    assert (torch.tensor(shown) + found[1] > 0).float().mean() > 0.9
    assert found[0] < -0.5


def test_classes_and_the_order_of_images_do_not_matter_to_each_other():
    log_odds = 3 * torch.randn(9, 4, generator=torch.Generator().manual_seed(3))
    found = presence_shift(log_odds)
    torch.testing.assert_close(presence_shift(log_odds.flip(0)), found)
    torch.testing.assert_close(presence_shift(log_odds[:, 2:3])[0], found[2])
    assert presence_shift(torch.tensor([[torch.inf, -torch.inf]])).isfinite().all()
    with pytest.raises(ValueError, match=r"\(0, 4\)"):
        presence_shift(log_odds[:0])


def test_a_draw_of_names_depends_on_the_names_alone_and_grows_little_when_they_do():
    names = [f"image {number}.png" for number in range(200)]
    found = drawn_names(names, 20)
    assert found == sorted(found) == drawn_names(iter(names[::-1]), 20)
    assert len(set(found) & set(names)) == 20
    assert len(set(drawn_names([*names, "one more.png"], 20)) & set(found)) >= 19
    assert 20 < np.mean([int(name[6:-4]) for name in drawn_names(names, 60)]) < 180


def test_rows_are_drawn_once_each_always_the_same():
    assert sorted(drawn_rows(7, 9).tolist()) == list(range(7))
    assert drawn_rows(50, 6).tolist() == drawn_rows(50, 6).tolist()
    assert len(set(drawn_rows(50, 6).tolist())) == 6
