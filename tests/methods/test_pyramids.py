"""What HSNet and ASNet keep of a support, and how classes without images stand among others."""

import torch

from likewise.layers.correlation_pyramid import correlations, unit
from likewise.methods.pyramids import _kept, _merged, _products, _voted


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_correlations_with_the_places_that_are_kept_are_those_with_all():
    support = unit(noise(0, 3, 5, 4, 6).clamp(min=0))  # zeros in some maps, as behind a ReLU
    support[:, :, 1:3] = 0
    support[1, :, 0] = 0  # in one map of a level alone
    query = unit(noise(1, 3, 5, 2, 7))
    kept = _kept("pair.4", [support])
    assert len(kept["pair.4.0.where"]) == 12
    found = _products(query, **{name: kept[f"pair.4.0.{name}"] for name in ("grid", "where", "tokens")})
    torch.testing.assert_close(found, correlations(query[None], support[None]), atol=1e-3, rtol=1e-3)


def test_a_level_that_the_mask_leaves_nothing_of_is_correlated_with_nothing():
    kept = _kept("pair.0", [torch.zeros(2, 3, 4, 5)])
    found = _products(noise(2, 2, 3, 6, 7), **{name: kept[f"pair.0.0.{name}"] for name in ("grid", "where", "tokens")})
    assert found.shape == (1, 2, 6, 7, 4, 5)
    assert not found.any()


def test_the_background_is_the_mean_over_classes_that_have_images_whatever_their_number():
    one, two, three = (torch.log_softmax(noise(seed, 2, 4, 5), dim=0) for seed in (3, 4, 5))
    found = _merged([[one, two], [], [three]], (4, 5))
    torch.testing.assert_close(found[0], ((one[0] + two[0]) / 2 + three[0]) / 2)
    torch.testing.assert_close(found[1], (one[1] + two[1]) / 2)
    assert torch.isneginf(found[2]).all()
    assert torch.equal(found[3], three[1])


def test_among_classes_with_enough_votes_the_one_with_more_takes_the_pixel():
    says = torch.tensor([[0.0], [2.0]])[:, :, None]  # background, object at one place
    no = says.flip(0)
    found = _voted([[says, says, no], [says, says, says], [], [no, no, says]], (1, 1), official=False)[:, 0, 0]
    assert found.argsort(descending=True).tolist()[:3] == [2, 1, 0]
    assert float(found[4]) < 0
