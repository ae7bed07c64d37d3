"""The pseudo masks of CST as a method: what a class token asks for, and where a picture answers."""

import numpy as np
import pytest
import torch

import likewise
from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import UsageError
from likewise.functional.upsample import argmax_enlarged
from likewise.methods import method_class
from likewise.methods.base import Query
from likewise.methods.cst.pseudo import cosines_of, pseudo_masks
from likewise.testing.conformance import BACKBONE, picture

HEADS, WIDTH, GRID, SIZE = 2, 3, (5, 7), (31, 44)


def features(seed, asks=None):
    """Features of noise whose class token's queries are those given."""
    random = torch.Generator().manual_seed(seed)
    keys = torch.randn(HEADS, GRID[0] * GRID[1], WIDTH, generator=random)
    prefix = torch.randn(2, HEADS, 1, WIDTH, generator=random)
    if asks is not None:
        prefix[0, :, 0] = asks
    tokens, first = torch.randn(1, keys.shape[1], 8, generator=random), torch.randn(1, 1, 8, generator=random)
    return ImageFeatures(tokens, first, GRID, SIZE, keys, keys, prefix_qk=prefix)


def example(name, **labels):
    return Example(np.zeros((*SIZE, 3), np.uint8), name, **labels)


def answered(support, items, query, **settings):
    method = method_class("class-attention")
    method = method(method.Settings(**settings))
    (spec,) = method.wants()
    memory = method.learn(support, {spec: items})
    return method.predict([Query(SIZE)], {spec: [query]}, memory)[0], memory


def drawn(answer, classes):
    return argmax_enlarged(answer.logits.numpy(), SIZE, np.arange(classes + 1, dtype=np.uint8), corners=answer.corners)


@pytest.mark.parametrize("pseudo", ["attention", "tokens"])
@pytest.mark.parametrize("threshold", [0.4, 0.55])
def test_with_one_image_the_answer_is_the_pseudo_mask_of_the_query(pseudo, threshold):
    item, query = features(1), features(2)
    answer, _ = answered(Support([example("a", tags={"thing": True})]), [item], query, pseudo=pseudo, threshold=threshold)
    expected = pseudo_masks(cosines_of(query, item, pseudo).mean(dim=0)[None], SIZE, threshold)[0].numpy()
    assert 0 < expected.mean() < 1
    assert np.array_equal(drawn(answer, 1) == 1, expected)
    assert not answer.gated


def test_cosines_are_averaged_over_the_images_of_a_class_and_the_strongest_class_wins():
    items, query = [features(seed) for seed in (1, 2, 3)], features(9)
    support = Support([example("a", tags={"one": True}), example("b", tags={"two": True}), example("c", tags={"one": True})])
    answer, memory = answered(support, items, query)
    each = [cosines_of(query, item).mean(dim=0) for item in items]
    maps = torch.stack([(each[0] + each[2]) / 2, each[1]])
    above = pseudo_masks(maps, GRID)
    expected = torch.where(above.any(dim=0), maps.argmax(dim=0) + 1, 0)
    assert set(expected.unique().tolist()) == {0, 1, 2}
    assert torch.equal(answer.logits.argmax(dim=0), expected)
    assert memory.tensors["asked"].shape == (3, HEADS, WIDTH)


def test_a_mask_says_no_more_than_a_tag():
    mask = np.zeros(SIZE, bool)
    mask[3:9, 4:20] = True
    items, query = [features(1), features(2)], features(3)
    masked = answered(Support([example("a", masks={"thing": mask}), example("b", tags={"thing": False})]), items, query)
    tagged = answered(Support([example("a", tags={"thing": True}), example("b", tags={"thing": False})]), items, query)
    assert torch.equal(masked[0].logits, tagged[0].logits)
    assert masked[1].tensors["asked"].shape == (1, HEADS, WIDTH)


def test_a_class_is_there_where_any_patch_answers_it():
    query = features(3)
    item = features(1, asks=query.k[:, 11])
    single = Support([example("a", tags={"thing": True})])
    assert answered(single, [item], query, threshold=0.99)[0].presence[0] > 0.5
    assert answered(single, [features(1)], query, threshold=0.99)[0].presence[0] < 0.5


def test_classes_that_other_images_show_may_come_in_any_order():
    pictures = [picture(seed, 60, 75)[0] for seed in (1, 2, 7)]
    options = {"method": "class-attention", "backbone": BACKBONE, "device": "cpu", "engine": "torch", "side": 56, "threshold": 0.5}
    found = []
    for names in ("ab", "ba"):
        examples = [Example(pixels, name, tags={name: True}) for name, pixels in zip("ab", pictures, strict=False)]
        task = likewise.learn(Support(examples, classes={1: names[0], 2: names[1]}), **options)
        answer = task.predict(pictures[2])
        found.append(np.stack([answer.mask(name) for name in "ab"]))
    assert found[0].any()
    assert np.array_equal(found[0], found[1])


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="'token'"):
        answered(Support([example("a", tags={"thing": True})]), [features(1)], features(2), pseudo="token")
