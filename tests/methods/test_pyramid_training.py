"""Training of HSNet and ASNet: by masks and by image-level labels, on tokens and on a network of their own."""

from dataclasses import replace

import pytest
import torch
from pyramid_small import lightning, small_resnet

from likewise.backbones.features import ImageFeatures
from likewise.backbones.registry import RANDOM
from likewise.errors import UsageError
from likewise.layers.correlation_pyramid import unit
from likewise.methods.asnet import Asnet
from likewise.methods.base import Memory
from likewise.methods.hsnet import Hsnet
from likewise.methods.pyramids import _kept
from likewise.methods.trainable import TrainingEpisode
from likewise.testing.conformance import picture

BACKBONE = RANDOM["vit-tiny-14"]
SIZE = (54, 36)
KINDS = pytest.mark.parametrize("kind", [Hsnet, Asnet])


def image(seed, place):
    """Features of a square whose object, at `place` of its 9 x 9 patches, looks alike in all of them; and its mask, of another size."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.zeros(9, 9, dtype=torch.bool)
    if place is not None:
        own[place] = True
    flat = own.flatten().float()[:, None]
    looks = flat * torch.randn(48, generator=torch.Generator().manual_seed(0)) + (1 - flat) * torch.randn(48, generator=torch.Generator().manual_seed(1))
    tokens = (looks + 0.3 * torch.randn(BACKBONE.depth, *looks.shape, generator=generator)).half()
    heads = tokens[-1].reshape(-1, BACKBONE.heads, 48 // BACKBONE.heads).transpose(0, 1)
    mask = torch.nn.functional.interpolate(own[None, None].float(), size=SIZE)[0, 0].to(torch.uint8)
    prefix = torch.zeros(BACKBONE.depth, 1, 48)
    return ImageFeatures(tokens, prefix, (9, 9), SIZE, heads, heads), mask


def episode(present=True, masks=True):
    query, query_mask = image(1, (slice(1, 5), slice(3, 8)) if present else None)
    support, support_mask = image(2, (slice(0, 4), slice(2, 7)))
    return TrainingEpisode(query, support, present, support_mask if masks else None, query_mask if masks else None)


def training(kind, **settings):
    return kind.trainable(BACKBONE, {"side": 126, **settings})


def loss(task, given):
    return float(task.episode_loss(given, torch.Generator())["loss"].detach())


@KINDS
@pytest.mark.parametrize("supervision", ["masks", "classes"])
def test_the_loss_falls(kind, supervision):
    task = training(kind, supervision=supervision)
    optimiser, losses = torch.optim.Adam(task.parameters(), lr=1e-3), []
    for _ in range(8 if supervision == "masks" else 24):
        optimiser.zero_grad()
        total = sum(task.episode_loss(episode(present), torch.Generator())["loss"] for present in (True, False))
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert min(losses[-3:]) < 0.8 * losses[0]
    assert set(task.episode_loss(episode(), torch.Generator())) == {"loss", supervision}


@KINDS
def test_without_masks_none_is_looked_at_unless_asked_for(kind):
    task = training(kind, supervision="classes")
    assert loss(task, episode()) == loss(task, episode(masks=False))
    assert task.method().settings.support == "none"
    shown = training(kind, supervision="classes", support="auto")  # as the code of the frame does with HSNet
    assert loss(shown, episode()) != loss(task, episode())
    assert shown.method().settings.support == "auto"
    with pytest.raises(UsageError, match="supervision=classes"):
        training(kind).episode_loss(episode(masks=False), torch.Generator())


@KINDS
def test_void_is_background_only_if_asked_for(kind):
    plain = episode()
    void = plain.query_mask.clone()
    void[:20] = 255
    background = plain.query_mask.clone()
    background[:20] = 0
    official = training(kind, void_is_background=True)
    assert loss(official, replace(plain, query_mask=void)) == pytest.approx(loss(official, replace(plain, query_mask=background)))
    assert loss(training(kind), replace(plain, query_mask=void)) != pytest.approx(loss(official, replace(plain, query_mask=void)), rel=1e-4)


@KINDS
def test_training_and_answering_say_the_same_of_the_same_features(kind):
    task, given = training(kind), episode()
    pyramid, mask = task._inputs(given)
    with torch.no_grad():
        expected = torch.log_softmax(task.learner.eval()(pyramid, mask), dim=1)[0]
    method = task.method()
    mine = method._levels(given.query)
    shown = method.shown(
        method._support_levels(given.support), (torch.nn.functional.interpolate(given.support_mask[None, None].float(), size=(126, 126))[0, 0])
    )
    owner = "pair.0" if kind is Hsnet else "image.0"
    tensors = _kept(owner, shown) | ({} if mask is None else {"pair.0.mask": mask[0] > 0})
    with torch.no_grad():
        found = method._pair([unit(level) for level in mine], Memory(tensors, {"pair_class": [0], "pair_image": [0]}), 0)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert method.settings.square == 9


@KINDS
def test_a_training_for_segmentation_alone_makes_a_method_whose_images_vote(kind):
    assert training(kind, frame="fss").method().settings.frame == "fss"
    assert training(kind).method().settings.frame == "fscs"


@KINDS
def test_a_start_with_a_network_alone_is_trained_on_and_saved_with_it(kind):
    side = 400 if kind is Asnet else 264
    start = kind.converted(small_resnet())
    task = kind.trainable(BACKBONE, {"side": side}, start=start)
    (spec,) = task.wants()
    assert (spec.backbone, spec.squash, spec.side) == (None, True, side)
    assert task.learner.channels == (1, 3, 2)
    nothing = torch.zeros(0, 0, 0)
    items = []
    for seed in (3, 4):
        pixels, labels = picture(seed, side, side)
        items.append((ImageFeatures(nothing, nothing, (0, 0), (side, side), pixels=torch.from_numpy(pixels).permute(2, 0, 1)), torch.from_numpy(labels == 1)))
    given = TrainingEpisode(items[0][0], items[1][0], True, torch.ones(7, 7, dtype=torch.uint8), items[0][1].to(torch.uint8))
    task.episode_loss(given, torch.Generator())["loss"].backward()
    assert all(parameter.grad is not None and bool(parameter.grad.abs().sum() > 0) for name, parameter in task.learner.named_parameters() if "weight" in name)
    saved = task.checkpoint()
    assert saved.keys() == kind.converted(lightning(kind, (13, 25, 25))).keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in start.items())
    assert task.method().own_backbone is not None


@KINDS
def test_a_training_begins_from_a_learner(kind):
    first = training(kind)
    with torch.no_grad():
        next(first.parameters()).add_(1)
    again = kind.trainable(BACKBONE, {"side": 126}, start=first.checkpoint())
    assert loss(again, episode()) == loss(first, episode()) != loss(training(kind), episode())
    with pytest.raises(UsageError, match="the start reads"):
        kind.trainable(BACKBONE, {"side": 126, "many_heads": False}, start=first.checkpoint())


@KINDS
@pytest.mark.parametrize(("setting", "value"), [("supervision", "tags"), ("support", "mask")])
def test_a_setting_that_does_not_exist_is_named(kind, setting, value):
    with pytest.raises(UsageError, match=f"{setting} is '{value}'"):
        training(kind, **{setting: value})


def test_a_size_that_cannot_be_squeezed_is_said_before_the_first_episode():
    with pytest.raises(UsageError, match="a square of 200 pixels does not do"):
        Hsnet.trainable(BACKBONE, {"side": 200}, start=Hsnet.converted(small_resnet()))
