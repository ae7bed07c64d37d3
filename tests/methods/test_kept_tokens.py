"""Methods that keep tokens of the support: one example or hundreds, the rows they ask of a query stay within the budget."""

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.methods import method_class
from likewise.methods.base import Query

GRID, SIZE, PATCHES = (9, 12), (90, 120), 108


def scene(seed):
    """Features, label map and brightness of an image: class c's patches point along axis c, the ground along axis 0."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(GRID, dtype=torch.long)
    for number in (1, 2):
        top = int(torch.randint(0, 4, (), generator=generator))
        labels[top : top + 4, 6 * number - 5 : 6 * number - 1] = number
    tokens = torch.eye(7)[labels.reshape(-1)] + 0.1 * torch.randn(PATCHES, 7, generator=generator)
    return ImageFeatures(tokens[None].half(), torch.zeros(1, 1, 7), GRID, SIZE), labels


def learned(name, scenes, budget):
    """A method with a budget and what it learned of the scenes, with their labels and a dense target."""
    block, method = np.ones((10, 10), np.int64), method_class(name)(method_class(name).Settings(budget=budget))
    examples = []
    for index, (_, labels) in enumerate(scenes):
        big = np.kron(labels.numpy(), block)
        examples.append(Example(np.zeros((*SIZE, 3), np.uint8), f"{index}", label_map=big, dense={"brightness": 10.0 * big + 5}))
    return method, method.learn(Support(examples, classes={1: "a", 2: "b"}), features_of(method, scenes))


def features_of(method, scenes):
    return {spec: [item for item, _ in scenes] for spec in method.wants()}


def keys(memory):
    return {tuple(row) for row in memory.tensors["classes.keys"].tolist()}


@pytest.mark.parametrize("name", ["attention", "nearest"])
@pytest.mark.parametrize(("count", "rows"), [(1, PATCHES), (200, 300)])
def test_one_example_or_hundreds_are_asked_with_no_more_rows_than_the_budget(name, count, rows):
    method, memory = learned(name, [scene(seed) for seed in range(count)], 300)
    assert {key: len(tensor) for key, tensor in memory.tensors.items()} == dict.fromkeys(memory.tensors, rows)
    query = scene(999)
    (answer,) = method.predict([Query(SIZE)], features_of(method, [query]), memory)
    assert (answer.logits.argmax(0) == query[1]).float().mean() > 0.97
    assert (answer.dense["brightness"][0] - 10 * query[1] - 5).abs().mean() < 1


@pytest.mark.parametrize("name", ["attention", "nearest"])
def test_below_the_budget_every_token_is_kept_as_it_came(name):
    scenes = [scene(seed) for seed in range(3)]
    _, memory = learned(name, scenes, 3 * PATCHES)
    tokens = torch.cat([item.joined() for item, _ in scenes]).half()
    assert torch.equal(memory.tensors["classes.keys"], tokens)
    assert torch.equal(memory.tensors["dense.brightness.keys"], tokens)


@pytest.mark.parametrize("name", ["attention", "nearest"])
def test_examples_in_another_order_leave_the_same_rows(name):
    scenes = [scene(seed) for seed in range(7)]
    (_, one), (_, two) = learned(name, scenes, 50), learned(name, scenes[::-1], 50)
    assert keys(one) == keys(two)
    assert len(keys(one)) == 50


def test_the_rows_that_attention_keeps_carry_the_weight_of_those_it_does_not():
    _, memory = learned("attention", [scene(seed) for seed in range(5)], 40)
    assert float(memory.tensors["classes.weight"].sum()) == pytest.approx(5 * PATCHES)
