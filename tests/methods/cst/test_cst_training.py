"""The objective, and training under every kind of supervision."""

from dataclasses import replace

import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.backbones.registry import ARCHITECTURES
from likewise.errors import UsageError
from likewise.functional.resize import resize_nearest
from likewise.methods.cst.enhancer import new_enhancer
from likewise.methods.cst.method import Cst
from likewise.methods.cst.model import untrained
from likewise.methods.cst.objective import cst_loss
from likewise.methods.cst.pseudo import pseudo_mask
from likewise.methods.cst.training import CstTraining, CstTrainingSettings
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
    prefix = torch.stack([first[-1].reshape(1, HEADS, -1).transpose(0, 1)] * 2)
    mask = torch.nn.functional.interpolate(own[None, None].float(), size=SIZE)[0, 0].to(torch.uint8)
    return ImageFeatures(tokens, first, grid, SIZE, keys, keys, prefix_qk=prefix), mask


def episode(present=True, masks=True):
    query, query_mask = image(1, (6, 5), (slice(1, 4), slice(2, 5)) if present else None)
    support, support_mask = image(2, (5, 7), (slice(0, 3), slice(3, 6)))
    return TrainingEpisode(query, support, present, support_mask if masks else None, query_mask if masks else None)


def training(enhancer=None, coupled=False, **settings):
    return CstTraining(untrained(LAYERS * HEADS, coupled=coupled), CstTrainingSettings(side=24, **settings), enhancer)


def test_the_weight_multiplies_the_classification_term():
    logits, maps = torch.randn(3, 2), torch.randn(3, 2, 4, 5)
    present, masks = torch.tensor([1, 0, 1]), torch.randint(0, 2, (3, 4, 5))
    one, two = (cst_loss(logits, maps, present, masks, weight=weight) for weight in (0.1, 0.5))
    torch.testing.assert_close(two.total - one.total, 0.4 * one.classes)
    torch.testing.assert_close(one.total, 0.1 * one.classes + one.masks)


def test_void_counts_nowhere_or_as_published_as_background():
    maps, masks = torch.randn(1, 2, 4, 5), torch.randint(0, 2, (1, 4, 5))
    void = masks.clone()
    void[0, :2] = 255
    background = masks.clone()
    background[0, :2] = 0
    known = cst_loss(torch.zeros(1, 2), maps[:, :, 2:], torch.tensor([1]), masks[:, 2:]).masks
    assert torch.isclose(cst_loss(torch.zeros(1, 2), maps, torch.tensor([1]), void).masks, known)
    official = cst_loss(torch.zeros(1, 2), maps, torch.tensor([1]), void, ignore=None).masks
    assert torch.isclose(official, cst_loss(torch.zeros(1, 2), maps, torch.tensor([1]), background).masks)
    assert float(cst_loss(torch.zeros(1, 2), maps, torch.tensor([1]), torch.full((1, 4, 5), 255)).masks) == 0


def test_another_backbone_sees_query_and_support_for_the_pseudo_masks():
    apart = training(supervision="pseudo", pseudo_backbone="mae-base-16", threshold=0.6)
    assert [spec.backbone for spec in apart.wants()] == ["", "mae-base-16"]
    plain, other = episode(), (image(5, (4, 4), (slice(0, 2), slice(1, 3)))[0], image(6, (4, 4), (slice(2, 4), slice(0, 2)))[0])
    size = (24, 24)
    masks = [pseudo_mask(item, other[1], size, threshold=0.6).to(torch.uint8) for item in (other[1], other[0])]
    assert all(0 < mask.float().mean() < 1 for mask in masks)
    found = apart.episode_loss(replace(plain, more=(other,)), torch.Generator())
    said = training(threshold=0.6).episode_loss(replace(plain, support_mask=masks[0], query_mask=masks[1]), torch.Generator())
    assert torch.equal(found["loss"], said["loss"])
    assert not torch.equal(found["loss"], training(supervision="pseudo", threshold=0.6).episode_loss(plain, torch.Generator())["loss"])
    assert apart.method().settings.pseudo_backbone == "mae-base-16"
    with pytest.raises(UsageError, match="enhancer"):
        Cst.trainable(ARCHITECTURES["dino-small-8"], {"part": "enhancer", "pseudo_backbone": "mae-base-16"})


@pytest.mark.parametrize("supervision", ["auto", "pseudo", "classes"])
def test_the_loss_falls_and_the_answer_is_learned(supervision):
    task = training(supervision=supervision)
    optimiser = torch.optim.Adam(task.parameters(), lr=3e-3)
    generator, losses = torch.Generator(), []
    for _ in range(12):
        optimiser.zero_grad()
        total = sum(task.episode_loss(episode(present), generator)["loss"] for present in (True, False))
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_masks_are_used_where_there_are_any_and_pseudo_masks_elsewhere():
    generator = torch.Generator()
    masks, tags = (training().episode_loss(episode(masks=given), generator)["loss"].detach() for given in (True, False))
    pseudo = [training(supervision="pseudo").episode_loss(episode(masks=given), generator)["loss"].detach() for given in (True, False)]
    assert float(tags) == float(pseudo[0]) == float(pseudo[1])
    assert float(masks) != float(tags)


def test_without_masks_at_all_only_the_classification_is_trained():
    terms = training(supervision="classes").episode_loss(episode(), torch.Generator())
    assert set(terms) == {"loss", "classes"}


def test_a_coupled_learner_has_no_classification_term():
    terms = training(coupled=True).episode_loss(episode(), torch.Generator())
    assert set(terms) == {"loss", "masks"}


def test_the_query_of_an_absent_class_is_background_whatever_it_looks_like():
    shown = episode(masks=False)
    hidden = TrainingEpisode(shown.query, shown.support, present=False)
    maps = training()._query_mask(hidden)
    assert not maps.any()
    assert training()._query_mask(shown).any()


def test_an_enhancer_makes_the_pseudo_masks_stays_frozen_and_is_in_the_checkpoint():
    enhancer = new_enhancer(HEADS)
    task = training(enhancer, supervision="pseudo")
    task.episode_loss(episode(), torch.Generator())["loss"].backward()
    assert all(parameter.grad is None for parameter in enhancer.parameters())
    assert all(parameter.grad is not None for parameter in task.parameters())
    plain = training(supervision="pseudo").episode_loss(episode(), torch.Generator())["loss"]
    assert not torch.isclose(task.episode_loss(episode(), torch.Generator())["loss"], plain)
    equipped = Cst().equipped(task.checkpoint())
    assert equipped._checkpoint["enhancer.layers.0.weight"].shape[1] == HEADS


def test_pseudo_masks_of_a_walk_ask_the_support_nothing():
    walk, generator = training(supervision="pseudo", pseudo="walk"), torch.Generator()
    shown, other = episode(), episode()
    other = TrainingEpisode(other.query, image(7, (5, 7), (slice(1, 5), slice(0, 2)))[0], present=True)
    assert torch.equal(walk._query_mask(shown), walk._query_mask(other))
    plain = training(supervision="pseudo").episode_loss(shown, generator)["loss"].detach()
    assert float(walk.episode_loss(shown, generator)["loss"].detach()) != float(plain)
    middle, mask = image(3, (8, 9), (slice(2, 6), slice(3, 7)))
    found = walk._query_mask(TrainingEpisode(middle, shown.support, present=True))
    truth = resize_nearest(mask, (24, 24)) == 1
    assert (found & truth).sum() / (found | truth).sum() > 0.6
    assert walk.method().settings.pseudo == "walk"


def test_a_mask_enhancer_goes_with_attention_alone():
    enhancer = {f"enhancer.{name}": tensor for name, tensor in new_enhancer(6).state_dict().items()}
    backbone = ARCHITECTURES["dino-small-8"]
    with pytest.raises(UsageError, match="reads attention"):
        Cst.trainable(backbone, {"pseudo": "walk"}, start=enhancer)
    with pytest.raises(UsageError, match="pseudo is 'wal'"):
        Cst.trainable(backbone, {"pseudo": "wal"})
