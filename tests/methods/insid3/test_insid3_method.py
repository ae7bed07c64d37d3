"""INSID3's algorithm as a method: masks of one and of several classes, presence, labels that are no masks, sizes."""

import numpy as np
import pytest
import torch

import likewise
from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import UsageError
from likewise.methods.base import Query
from likewise.methods.insid3 import Insid3, Insid3Settings
from likewise.testing.conformance import picture

GRID, SIZE = (8, 8), (64, 112)
WIDTH = 9
SMALL = Insid3Settings(side=64)
POSITIONS = torch.eye(WIDTH)[:, -2:]  # the directions that say where a token stands


def scene(seed, numbers, *, size=SIZE):
    """Features and labels of squares of a class each on ground; a token points along the axis of its class, with noise, and along those of its place."""
    generator, labels = torch.Generator().manual_seed(seed), np.zeros(GRID, np.uint8)
    for place, number in enumerate(numbers):
        top = int(torch.randint(0, 5, (), generator=generator))
        labels[top : top + 3, 1 + 4 * place : 4 + 4 * place] = number
    tokens = torch.eye(WIDTH)[torch.from_numpy(labels.ravel()).long()] + 0.03 * torch.randn(labels.size, WIDTH, generator=generator)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 8), torch.linspace(-1, 1, 8), indexing="ij")
    tokens += 0.4 * torch.stack([rows.ravel(), columns.ravel()], dim=1) @ POSITIONS.T
    item = ImageFeatures(tokens[None].half(), torch.zeros(1, 1, WIDTH), GRID, size, positions=POSITIONS)
    return item, np.kron(labels, np.ones((size[0] // 8, size[1] // 8), np.uint8))


def learned(scenes, maps=None, classes=None, method=None):
    method = method or Insid3(SMALL)
    maps = [labels for _, labels in scenes] if maps is None else maps
    examples = [Example(np.zeros((*SIZE, 3), np.uint8), str(i), label_map=labels) for i, labels in enumerate(maps)]
    return method.learn(Support(examples, classes=classes or {1: "a", 2: "b"}), {method.wants()[0]: [item for item, _ in scenes]})


def asked(memory, item, method=None):
    method = method or Insid3(SMALL)
    (answer,) = method.predict([Query(SIZE)], {method.wants()[0]: [item]}, memory)
    return answer


def square(labels):
    """A label map at 64 x 64 pixels."""
    return labels[:, np.arange(64) * labels.shape[1] // 64]


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_classes_are_found_and_their_presence_told(shots):
    memory = learned([scene(10 + seed, (1, 2)) for seed in range(shots)])
    item, labels = scene(3, (2, 1))
    answer = asked(memory, item)
    assert answer.logits.shape == (3, 64, 64)
    found = answer.logits.argmax(dim=0).numpy()
    assert (found == square(labels)).mean() > 0.97  # corners of squares are rounded
    assert answer.presence.min() > 0.9


def test_a_picture_without_a_class_has_none_of_it():
    answer = asked(learned([scene(1, (1, 2))]), scene(3, (1,))[0])
    assert answer.presence[0] > 0.9
    assert answer.presence[1] < 0.5
    assert not answer.logits.argmax(dim=0).eq(2).any()


def test_a_class_without_an_example_is_absent():
    memory = learned([scene(1, (1,))])
    answer = asked(memory, scene(3, (2, 1))[0])
    assert answer.presence[1] == 0
    assert not answer.logits.argmax(dim=0).eq(2).any()


def test_a_token_that_two_classes_claim_goes_to_the_likelier():
    """Both classes of the examples lie between the axes 1 and 2, the first nearer to 1."""
    (one, labels), (two, _) = scene(1, (1,)), scene(2, (1,))
    mixed = two.tokens.clone()
    mixed[..., 2] += 0.8 * mixed[..., 1]
    memory = learned([(one, labels), (ImageFeatures(mixed, two.prefix, GRID, SIZE, positions=POSITIONS), scene(2, (1,))[1])], [labels, scene(2, (1,))[1] * 2])
    item, truth = scene(5, (1,))
    found = asked(memory, item).logits.argmax(dim=0).numpy()
    assert (found == square(truth)).mean() > 0.97
    tokens = item.tokens.clone()
    tokens[..., 2] += tokens[..., 1]
    found = asked(memory, ImageFeatures(tokens, item.prefix, GRID, SIZE, positions=POSITIONS)).logits.argmax(dim=0).numpy()
    assert (found == 2 * square(truth)).mean() > 0.97


def test_a_mask_smaller_than_a_sample_is_the_patch_where_it_lies():
    item, labels = scene(4, (1,))
    speck = np.zeros_like(labels)
    speck[35, 68] = 1
    masks = learned([(item, speck)]).tensors["masks"]
    assert torch.nonzero(masks[0, 0].reshape(GRID)).tolist() == [[4, 4]]


def test_pixels_to_be_ignored_are_not_the_object():
    item, labels = scene(4, (1,))
    voided = np.where(labels == 0, 255, labels).astype(np.uint8)
    one, two = learned([(item, labels)]), learned([(item, voided)])
    assert torch.equal(one.tensors["prototypes"], two.tensors["prototypes"])


def test_boxes_stand_in_for_masks():
    examples = []
    for index in (0, 1):
        pixels, labels = picture(index, 90, 120)
        rows, columns = np.nonzero(labels == 1)
        examples.append(Example(pixels, str(index), boxes={"red": [(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]}))
    task = likewise.learn(Support(examples), method="insid3", backbone="random:vit-tiny-14", device="cpu", engine="torch", side=168)
    masks = task.memory.tensors["masks"]
    assert masks.shape == (1, 2, 144)
    assert masks.any(dim=2).all()


def test_the_directions_of_places_are_a_share_of_the_width_and_others_are_refused():
    pixels, labels = picture(0, 90, 120)
    told = {"method": "insid3", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168}
    support = Support([Example(pixels, "a", label_map=labels)], classes={1: "a", 2: "b"})
    task = likewise.learn(support, debias=0.25, **told)
    (item,) = task.ready().extract([task.prepare(pixels)], task.method.wants()[0])
    assert item.positions.shape == (48, 12)
    assert (task.memory.tensors["tokens"].float() @ item.positions).abs().max() < 2e-3
    with pytest.raises(UsageError, match="48 directions"):
        likewise.learn(support, debias=1.0, **told)
