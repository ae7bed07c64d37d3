"""PANet's original network under training."""

import pytest
import torch
from pyramid_small import small_resnet, small_vgg
from torch.nn.functional import cross_entropy, interpolate

from likewise.backbones.features import ImageFeatures
from likewise.backbones.vit import VitConfig
from likewise.errors import UsageError
from likewise.methods.panet import Panet
from likewise.methods.panet.model import alignment_loss, averaged_prototypes, maps_of, rows_of_maps, scores
from likewise.methods.trainable import TrainingEpisode

SIDE = 65
BACKBONE = VitConfig(width=48, depth=4, heads=3, patch=14, grid=4)


def picture(seed):
    pixels = torch.randint(0, 255, (3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    nothing = torch.zeros(0, 0, 0)
    return ImageFeatures(nothing, nothing, (0, 0), (SIDE, SIDE), pixels=pixels)


def episode(*, present=True):
    mask = torch.zeros(80, 100, dtype=torch.uint8)
    mask[10:50, 20:60] = 1
    mask[50:70, 20:60] = 255
    return TrainingEpisode(picture(0), picture(1), present, mask, mask.flip(1) * present)


def begun(**settings):
    return Panet.trainable(BACKBONE, {"side": SIDE, **settings}, start=Panet.converted(small_vgg()))


def test_the_loss_is_that_of_the_query_and_of_support_and_query_exchanged():
    training, given = begun(), episode()
    terms = training.episode_loss(given, torch.Generator())
    mask = interpolate(given.support_mask[None, None].float(), size=(SIDE, SIDE), mode="nearest")
    truth = interpolate(given.query_mask[None, None].float(), size=(SIDE, SIDE), mode="nearest")[0].long()
    with torch.no_grad():
        mean, std = torch.tensor([123.675, 116.28, 103.53])[:, None, None], torch.tensor([58.395, 57.12, 57.375])[:, None, None]
        query, support = (training.network(((item.pixels.float() - mean) / std)[None]) for item in (given.query, given.support))
        own, ground = (mask == 1).float(), (mask == 0).float()
        logits = maps_of(scores(rows_of_maps(query), *averaged_prototypes(support[None], own, ground)), (9, 9))
        expected = cross_entropy(interpolate(logits, size=(SIDE, SIDE), mode="bilinear", align_corners=False), truth, ignore_index=255)
        aligned = alignment_loss(query, logits, support[None], own, ground)
    assert terms["query"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert terms["alignment"].item() == pytest.approx(aligned.item(), rel=1e-4)
    assert terms["loss"].item() == pytest.approx((expected + aligned).item(), rel=1e-4)
    other = begun(void_is_background=True).episode_loss(given, torch.Generator())
    assert other["loss"].item() != pytest.approx(terms["loss"].item(), rel=1e-5)


def test_steps_on_an_episode_lower_its_loss_and_the_checkpoint_is_the_method():
    training = begun()
    optimiser = torch.optim.SGD(training.parameters(), lr=1e-2, momentum=0.9)
    losses = []
    for _ in range(12):
        loss = training.episode_loss(episode(), torch.Generator())["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    method = training.method()
    assert method.settings.network == "own"
    assert method.wants() == training.wants()
    assert all(torch.equal(tensor, training.checkpoint()[name]) for name, tensor in Panet.converted(training.checkpoint()).items())


def test_a_query_without_the_class_is_background():
    terms = begun().episode_loss(episode(present=False), torch.Generator())
    assert torch.isfinite(terms["loss"])


def test_what_cannot_be_trained_says_why():
    with pytest.raises(UsageError, match="nothing to train"):
        Panet.trainable(BACKBONE, {})
    with pytest.raises(UsageError, match="statistics of batches"):
        Panet.trainable(BACKBONE, {}, start=Panet.converted(small_resnet()))
    with pytest.raises(UsageError, match="give all of them"):
        begun().episode_loss(TrainingEpisode(picture(0), picture(1), True), torch.Generator())
