"""The token read-out against weighted ridge regression by the normal equations, with and without a fold."""

import pytest
import torch
from torch.nn.functional import normalize

from likewise.backbones.features import ImageFeatures
from likewise.methods.analogy.tokens import TokenFit, blends, fold_sums, left_out_answers, token_answers
from likewise.methods.prompts import PatchLabels

BLENDS = blends(5, by_blocks=False)
LAYERS, WIDTH, COUNT, FOLDS = 3, 5, 4, 3
GRIDS = ((4, 7), (6, 3))


def images(count=COUNT):
    """Features and soft labels of two images; some patches without weight."""
    generator = torch.Generator().manual_seed(3)
    features, labels = [], []
    for height, width in GRIDS:
        patches = height * width
        tokens = torch.randn(LAYERS, patches, WIDTH, generator=generator).half()
        features.append(ImageFeatures(tokens, torch.zeros(LAYERS, 1, WIDTH), (height, width), (14 * height, 14 * width)))
        weight = torch.rand(patches, generator=generator)
        weight[: patches // 4] = 0
        shares = normalize(torch.rand(patches, count, generator=generator), p=1, dim=1)
        labels.append(PatchLabels(shares, weight))
    return features, labels


def folds(one_per_image=False):
    """The fold (P,) of every patch of the images: mixed, or one for each image."""
    if one_per_image:
        return [torch.full((height * width,), place) for place, (height, width) in enumerate(GRIDS)]
    return [torch.arange(height * width) % FOLDS for height, width in GRIDS]


def rows(features, labels):
    """Tokens (R, L*D), shares (R, N+1) and raised weight (R,) of all patches."""
    shares, weight = torch.cat([item.shares for item in labels]).double(), torch.cat([item.weight for item in labels]).double()
    area = weight @ shares
    raised = weight * (shares @ torch.where(area > 0, (area / area.sum()) ** -0.5, 0.0))
    return torch.cat([item.joined() for item in features]).double(), shares, raised * weight.sum() / raised.sum()


def brute_force(tokens, shares, weight, strength):
    """Coefficients (D+1, N+1) of weighted ridge regression whose constant is free."""
    design = torch.cat([tokens, torch.ones(len(tokens), 1).double()], dim=1)
    gram = design.T @ (weight[:, None] * design)
    free = torch.ones(len(gram)).double()
    free[-1] = 0
    penalty = strength * gram.diagonal()[:-1].mean() * free
    return torch.linalg.solve(gram + torch.diag(penalty), design.T @ (weight[:, None] * shares)).float()


def is_brute_force(parts, tokens, shares, weight, strength):
    """Fail unless the parts are those of brute force on these rows."""
    torch.testing.assert_close(parts.every, brute_force(tokens, shares, weight, strength), atol=2e-4, rtol=2e-4)
    torch.testing.assert_close(parts.last, brute_force(tokens[:, -WIDTH:], shares, weight, 0.1), atol=2e-4, rtol=2e-4)
    means = (shares * weight[:, None]).T @ tokens[:, -WIDTH:]
    torch.testing.assert_close(parts.prototypes, normalize(means, dim=1).float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strength", [1e-1, 1e-3])
def test_the_fit_of_everything_is_weighted_ridge_on_all_layers_and_on_the_last(strength):
    features, labels = images()
    whole, _ = fold_sums(features, labels, folds(), FOLDS).fits(strength)
    is_brute_force(whole, *rows(features, labels), strength)


@pytest.mark.parametrize("one_per_image", [True, False])
def test_leaving_a_fold_out_is_fitting_the_others_alone(one_per_image):
    features, labels = images()
    tokens, shares, weight = rows(features, labels)
    fold = torch.cat(folds(one_per_image))
    _, left = fold_sums(features, labels, folds(one_per_image), FOLDS).fits(1e-2)
    for place in torch.unique(fold).tolist():
        is_brute_force(left[place], tokens[fold != place], shares[fold != place], weight[fold != place], 1e-2)


def test_a_fold_that_holds_everything_or_nothing_leaves_the_fit_of_everything():
    features, labels = images()
    everything = [torch.zeros_like(fold) for fold in folds()]
    whole, left = fold_sums(features, labels, everything, 2).fits(1e-2)
    assert all(torch.equal(parts.every, whole.every) for parts in left)


def test_parts_are_given_by_their_shares():
    features, labels = images()
    whole, _ = fold_sums(features, labels, folds(), FOLDS).fits(1e-2)
    tokens = features[0].joined()
    constant = torch.ones(len(tokens), 1)
    every = torch.cat([tokens, constant], dim=1) @ whole.every
    last = torch.cat([tokens[:, -WIDTH:], constant], dim=1) @ whole.last
    likely = torch.softmax(20 * tokens[:, -WIDTH:] @ whole.prototypes.T, dim=1)
    for shares in (*BLENDS, (0.2, 0.5, 0.3)):
        expected = shares[0] * every + shares[1] * last + shares[2] * likely
        torch.testing.assert_close(token_answers(tokens, whole.blend(shares)), expected, atol=1e-5, rtol=1e-5)


def test_blending_changes_no_part():
    features, labels = images()
    whole, _ = fold_sums(features, labels, folds(), FOLDS).fits(1e-2)
    before = whole.every.clone()
    whole.blend((1.0, 1.0, 0.0))
    assert torch.equal(whole.every, before)


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("trace", [0.0, 1e-9])
def test_a_class_that_was_never_seen_is_answered_with_nothing(blend, trace):
    features, labels = images()
    without = [PatchLabels(normalize(item.shares * torch.tensor([1.0, 1, trace, 1]), p=1, dim=1), item.weight) for item in labels]
    whole, left = fold_sums(features, without, folds(), FOLDS).fits(1e-2)
    for parts in (whole, *left):
        fit = parts.blend(blend)
        assert fit.seen.tolist() == [True, True, False, True]
        found = token_answers(features[0].joined(), fit)
        assert (found[:, 2] == 0).all()
        assert (found[:, [0, 1, 3]] != 0).all()


def test_a_class_that_one_fold_alone_shows_is_unseen_without_it_and_lost_there():
    features, labels = images()
    image = folds(one_per_image=True)
    first = [PatchLabels(labels[0].shares, labels[0].weight)]
    second = [PatchLabels(normalize(labels[1].shares * torch.tensor([1.0, 1, 1, 0]), p=1, dim=1), labels[1].weight)]
    found = fold_sums(features, first + second, image, 2)
    _, left = found.fits(1e-2)
    assert left[0].seen.tolist() == [True, True, True, False]
    assert (token_answers(features[0].joined(), left[0].blend(BLENDS[0]))[:, 3] == 0).all()
    assert left[1].seen.all()
    assert found.lost().tolist() == [[False, False, False, True], [False] * 4]


def test_each_patch_is_answered_by_the_fit_without_its_fold():
    features, labels = images()
    fold, tokens = folds()[0], features[0].joined()
    _, left = fold_sums(features, labels, folds(), FOLDS).fits(1e-2)
    fits = [parts.blend(BLENDS[0]) for parts in left]
    answers = left_out_answers(tokens, fold, fits)
    for patch in range(len(tokens)):
        torch.testing.assert_close(answers[patch], token_answers(tokens[patch : patch + 1], fits[int(fold[patch])])[0])


def test_a_fit_is_the_same_from_the_tensors_it_keeps():
    features, labels = images()
    fit = fold_sums(features, labels, folds(), FOLDS).fits(1e-2)[0].blend(BLENDS[0])
    again = TokenFit.of(fit.tensors())
    assert all(torch.equal(tensor, again.tensors()[name]) for name, tensor in fit.tensors().items())
