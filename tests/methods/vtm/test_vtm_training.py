"""The head of VTM under training: it learns to read the support, not a map by heart."""

from dataclasses import replace

import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.backbones.registry import RANDOM
from likewise.errors import InputError, UsageError
from likewise.methods.trainable import DenseTrainable, DenseTrainingEpisode
from likewise.methods.vtm.training import cut, trainable

BACKBONE = replace(RANDOM["vit-tiny-14"], width=16)
SETTINGS = {"side": 56, "dropout": 0.0, "width": 24, "heads": 3, "matching_heads": 2, "reassembled": (8, 10, 12, 14), "fused": 12}
GRID, PATCH = (4, 4), 14
MAPS = ("support_values", "support_known", "query_values", "query_known")


def episode(seed, shot=2, query=3):
    """Pictures of two kinds of patches; which value each kind has is drawn anew, so that only the support can tell."""
    generator = torch.Generator().manual_seed(seed)
    worth = torch.rand(2, generator=generator)
    kinds = torch.randint(2, (shot + query, *GRID), generator=generator)
    looks = 2 * torch.eye(16)[kinds.flatten(1)] + 0.3 * torch.randn(4, shot + query, 16, 16, generator=generator)
    pictures = tuple(ImageFeatures(looks[:, place].half(), looks[:, place, :2].half(), GRID, (56, 56)) for place in range(shot + query))
    values = worth[kinds].repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)
    known = torch.ones_like(values)
    return DenseTrainingEpisode(pictures[:shot], pictures[shot:], values[None, :shot], known[None, :shot], values[None, shot:], known[None, shot:], (False,))


def made(**changes):
    return trainable(BACKBONE, {**SETTINGS, **changes}, seed=1)


def error(answer, truth):
    return float((answer - truth).abs().mean())


def test_a_head_learns_to_read_from_the_support_what_a_kind_of_patch_is_worth():
    own = made()
    optimiser = torch.optim.Adam(own.parameters(), lr=1e-3)
    for step in range(200):
        optimiser.zero_grad()
        own.episode_loss(episode(step, shot=1, query=2), torch.Generator())["loss"].backward()
        torch.nn.utils.clip_grad_norm_(own.parameters(), 1.0)
        optimiser.step()
    asked = [episode(10_000 + index) for index in range(8)]
    found = sum(error(own.answers(each), each.query_values) for each in asked)
    mean = sum(error(each.support_values.mean(), each.query_values) for each in asked)
    assert found < 0.85 * mean
    turned = sum(error(own.answers(replace(each, support_values=1 - each.support_values)), 1 - each.query_values) for each in asked)
    assert turned < 0.85 * mean


def test_queries_and_keys_begin_as_the_image_tokens_or_at_random_as_published():
    alike, apart = made().head.level(2), made(queries="random").head.level(2)
    tokens = torch.randn(2, 5, 16)
    torch.testing.assert_close(alike.keys(tokens), alike.pre_ln(tokens))
    assert torch.equal(alike.fc_q.weight, alike.fc_k.weight)
    assert not torch.equal(apart.fc_q.weight, apart.fc_k.weight)


def test_queries_that_are_kept_are_neither_trained_nor_in_the_checkpoint():
    own = made(queries="kept")
    whole, lean = made().checkpoint(), own.checkpoint()
    assert {name for name in whole if name not in lean} == {f"matching.{level}.fc_{kind}.weight" for level in range(4) for kind in "qk"}
    assert {id(tensor) for tensor in own.parameters()}.isdisjoint({id(own.head.level(1).fc_q.weight), id(own.head.level(1).fc_k.weight)})
    with torch.no_grad():
        own.head.level(0).pre_ln.weight.mul_(1.5)
    again = trainable(BACKBONE, {**SETTINGS, "queries": "kept"}, seed=8, start=own.checkpoint())
    assert torch.equal(own.answers(episode(4)), again.answers(episode(4)))
    assert all(torch.equal(tensor, again.checkpoint()[name]) for name, tensor in lean.items())
    assert own.method()._opened_head.level(2).fc_k.weight.equal(torch.eye(16))


def test_a_window_of_a_query_has_the_labels_of_its_tokens():
    rows, columns = torch.arange(4).repeat_interleave(4), torch.arange(4).repeat(4)
    looks = torch.stack([rows, columns], dim=1).float().expand(1, 3, 16, 2)
    values = (10 * rows + columns).float().view(1, 1, 4, 4).expand(2, 3, 4, 4).repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)
    tokens, labels, known = cut([looks, 2 * looks], values, values > 5, GRID, 3, torch.Generator().manual_seed(0))
    assert [level.shape for level in tokens] == [(1, 3, 9, 2)] * 2
    told = 10 * tokens[0][..., 0] + tokens[0][..., 1]
    for channel in range(2):
        assert torch.equal(labels[channel, :, ::PATCH, ::PATCH].flatten(1), told[0])
    assert torch.equal(known, labels > 5)
    assert torch.equal(tokens[1], 2 * tokens[0])
    assert len(set(told[0, :, 0].tolist())) > 1  # of each query another


def test_windows_are_asked_about_in_training_alone():
    own, plain = made(window=2), episode(6)
    losses = {own.episode_loss(plain, torch.Generator().manual_seed(seed))["loss"].item() for seed in range(6)}
    assert len(losses) == 6
    assert own.answers(plain).shape == plain.query_values.shape


def test_channels_are_answered_as_if_each_were_alone():
    own, one, two = made(), episode(8), episode(8)
    two = replace(two, support_values=1 - two.support_values)
    both = replace(one, **{name: torch.cat([getattr(each, name) for each in (one, two)]) for name in MAPS}, categorical=(False, True))
    torch.testing.assert_close(own.answers(both), torch.cat([own.answers(one), own.answers(two)]))
    with torch.no_grad():
        together, apart = (own.episode_loss(each, torch.Generator())["loss"] for each in (both, replace(both, categorical=(False, False))))
    assert together != apart


def test_unknown_pixels_have_no_part_in_the_loss():
    own, plain = made(), episode(3)
    holes = plain.query_known.clone()
    holes[:, :, :20] = 0
    with torch.no_grad():
        one, two = (
            own.episode_loss(replace(plain, query_known=holes, query_values=torch.where(holes > 0, plain.query_values, fill)), torch.Generator())["loss"]
            for fill in (0.0, 1.0)
        )
        assert torch.equal(one, two)
        unknown = replace(plain, support_known=torch.zeros_like(plain.support_known))
        changed = replace(unknown, support_values=1 - unknown.support_values)
        torch.testing.assert_close(own.answers(unknown), own.answers(changed))


def test_a_class_has_cross_entropy_and_anything_else_absolute_error():
    own, plain = made(), episode(5)
    answers = own.answers(plain)
    with torch.no_grad():
        dense = own.episode_loss(plain, torch.Generator())["loss"]
        classes = own.episode_loss(replace(plain, categorical=(True,)), torch.Generator())["loss"]
    torch.testing.assert_close(dense, (answers - plain.query_values).abs().mean())
    torch.testing.assert_close(classes, torch.nn.functional.binary_cross_entropy(answers, plain.query_values))


def test_the_method_is_a_copy_with_the_sizes_of_the_head():
    own = made()
    method = own.method()
    assert isinstance(own, DenseTrainable)
    assert (method.settings.label_heads, method.settings.matching_heads) == (3, 2)
    before = method._opened_head.state_dict()["label.cls_token"].clone()
    with torch.no_grad():
        next(iter(own.checkpoint().values())).add_(1)
    assert torch.equal(method._opened_head.state_dict()["label.cls_token"], before)


def test_training_goes_on_from_a_checkpoint():
    own = trainable(BACKBONE, SETTINGS, seed=2, start=made().checkpoint())
    assert all(torch.equal(tensor, made().checkpoint()[name]) for name, tensor in own.checkpoint().items())
    assert all(parameter.requires_grad for parameter in own.parameters())


def test_dropout_is_in_training_alone():
    own, plain = made(dropout=0.5), episode(7)
    losses = {own.episode_loss(plain, torch.Generator())["loss"].item() for _ in range(3)}
    assert len(losses) == 3
    assert torch.equal(own.answers(plain), own.answers(plain))


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="four levels"):
        trainable(replace(BACKBONE, depth=3), SETTINGS)
    with pytest.raises(UsageError, match="Take 42"):
        made(side=50)
    with pytest.raises(UsageError, match="4 tokens a side"):
        made(window=5)
    with pytest.raises(UsageError, match="did you mean 'alike'"):
        made(queries="alik")
