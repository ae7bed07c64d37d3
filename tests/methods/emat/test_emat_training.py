"""The objective, and training with and without a class token."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from likewise.backbones.features import ImageFeatures
from likewise.backbones.registry import ARCHITECTURES
from likewise.errors import InputError, UsageError, WeightsError
from likewise.methods.emat import Emat
from likewise.methods.emat.model import untrained
from likewise.methods.emat.training import EmatTraining, EmatTrainingSettings
from likewise.methods.trainable import TrainingEpisode

LAYERS, HEADS, WIDTH, SIZE = 3, 2, 8, (40, 30)


def image(seed, grid, place):
    """Features of an image whose object, at `place` (rows, columns) of the grid, looks alike in all of them; and its mask."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.zeros(grid, dtype=torch.bool)
    if place is not None:
        own[place] = True
    flat = own.flatten().float()[:, None]
    looks = flat * torch.eye(WIDTH)[0] * 3 + (1 - flat) * torch.eye(WIDTH)[1] * 3
    tokens = (looks + 0.3 * torch.randn(LAYERS, *looks.shape, generator=generator)).half()
    first = (torch.eye(WIDTH)[0] + 0.1 * torch.randn(LAYERS, 1, WIDTH, generator=generator)).half()
    keys = tokens[-1].reshape(-1, HEADS, WIDTH // HEADS).transpose(0, 1)
    mask = torch.nn.functional.interpolate(own[None, None].float(), size=SIZE)[0, 0].to(torch.uint8)
    return ImageFeatures(tokens, first, grid, SIZE, keys, keys), mask


def episode(present=True):
    query, query_mask = image(1, (6, 5), (slice(1, 4), slice(2, 5)) if present else None)
    support, support_mask = image(2, (5, 7), (slice(0, 3), slice(3, 6)))
    return TrainingEpisode(query, support, present, support_mask, query_mask)


def training(class_token=True, **settings):
    return EmatTraining(untrained(LAYERS * HEADS, class_token=class_token), EmatTrainingSettings(side=24, **settings))


def loss(task, given):
    return {name: term.detach() for name, term in task.episode_loss(given, torch.Generator()).items()}


def test_a_class_term_of_a_tenth_and_a_mask_term_over_all_pixels_make_the_loss():
    task, given = training(), episode()
    terms = loss(task, given)
    torch.testing.assert_close(terms["loss"], 0.1 * terms["classes"] + terms["masks"])
    heavier = loss(training(class_weight=0.5), given)
    torch.testing.assert_close(heavier["loss"] - terms["loss"], 0.4 * terms["classes"])
    absent = loss(task, replace(given, present=False))
    assert absent["masks"] == terms["masks"]
    both = torch.stack([terms["classes"], absent["classes"]])
    torch.testing.assert_close(torch.exp(-both).sum(), torch.tensor(1.0))  # the probabilities of both answers


def test_without_a_class_token_the_masks_alone_are_trained():
    assert set(loss(training(class_token=False), episode())) == {"loss", "masks"}


def test_void_counts_nowhere_or_as_published_as_background():
    given = episode()
    void, background = given.query_mask.clone(), given.query_mask.clone()
    void[:20], background[:20] = 255, 0
    assert bool((given.query_mask[:20] == 1).any())
    published = training(void_is_background=True)
    assert loss(published, replace(given, query_mask=void)) == loss(published, replace(given, query_mask=background))
    task = training()
    sane, all_void = (float(loss(task, replace(given, query_mask=mask))["masks"]) for mask in (void, torch.full_like(void, 255)))
    logits = torch.randn(1, 2, 24, 24)
    labels = torch.nn.functional.interpolate(void[None, None].float(), size=(24, 24))[0].long()
    half = task._mask_loss(logits, labels)
    torch.testing.assert_close(half, cross_entropy(logits[..., 12:, :], labels[..., 12:, :]))
    assert sane > 0
    assert all_void == 0


@pytest.mark.parametrize("class_token", [True, False])
def test_the_loss_falls(class_token):
    task = training(class_token)
    optimiser = torch.optim.Adam(task.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        total = sum(task.episode_loss(episode(present), torch.Generator())["loss"] for present in (True, False))
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_slices_of_the_query_change_memory_and_not_the_loss():
    whole, sliced = (float(loss(training(tile=tile), episode())["loss"]) for tile in (0, 7))
    assert whole == pytest.approx(sliced, abs=1e-5)


def test_the_method_has_copies_of_what_is_trained_and_its_sizes():
    task = training(square=20, pools=(0, 5))
    method = task.method()
    assert (method.settings.side, method.settings.square, method.settings.pools) == (24, 20, (0, 5))
    before = method._checkpoint["linear.0.weight"].clone()
    with torch.no_grad():
        task.learner.linear[0].weight += 1
    assert torch.equal(method._checkpoint["linear.0.weight"], before)


def test_training_begins_from_a_checkpoint_or_from_a_seed():
    backbone = ARCHITECTURES["dinov2-small"]
    old = untrained(seed=7).state_dict()
    begun = Emat.trainable(backbone, {"side": 70}, start=old)
    assert all(torch.equal(tensor, old[name]) for name, tensor in begun.checkpoint().items())
    new = [Emat.trainable(backbone, {"class_token": False}, seed=seed).checkpoint() for seed in (1, 1, 2)]
    assert torch.equal(new[0]["linear.0.weight"], new[1]["linear.0.weight"])
    assert not torch.equal(new[0]["linear.0.weight"], new[2]["linear.0.weight"])
    assert sum(tensor.numel() for tensor in new[0].values()) == 74_098


def test_what_does_not_fit_is_refused_before_training():
    backbone = ARCHITECTURES["dinov2-small"]
    with pytest.raises(UsageError, match="18x18"):
        Emat.trainable(backbone, {"square": 18})
    with pytest.raises(UsageError, match="sides"):
        Emat.trainable(backbone, {"sides": 70})
    with pytest.raises(WeightsError, match="no checkpoint of EMAT"):
        Emat.trainable(backbone, {}, start={"a": torch.zeros(1)})
    for part in ("query_mask", "support_mask"):
        with pytest.raises(InputError, match="no masks"):
            training().episode_loss(replace(episode(), **{part: None}), torch.Generator())
