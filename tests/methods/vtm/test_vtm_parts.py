"""Parts of a support: which channels share which examples, and that pictures keep their labels."""

import torch
from vtm_small import noise, small_vtm, some_biases

from likewise.methods.base import Memory
from likewise.methods.vtm.channels import Planes
from likewise.methods.vtm.parts import Part, labelled, memory_of, parts_of, tensors_of


def test_channels_of_the_same_examples_are_one_part():
    shown = [torch.tensor([True, False, True]), torch.tensor([True, True, True]), torch.tensor([False, True, False])]
    assert parts_of(shown) == [Part((0, 2), (0, 1)), Part((1,), (1, 2))]


def test_crops_keep_their_labels_and_those_without_any_are_left_out():
    crops = []
    for index, count in enumerate((2, 1, 3)):
        known = torch.ones(count, 4, 5, 7)
        known[0] = float(index != 2)
        crops.append((noise(index, count, 3, 5, 7), Planes(noise(10 + index, count, 4, 5, 7), known)))
    found = labelled(Part((3, 1), (2, 0)), crops, torch.tensor([False, True, False, True]))
    assert found.categorical.tolist() == [True, True]
    expected = [(2, 1), (2, 2), (0, 0), (0, 1)]
    assert len(found) == len(expected)
    for place, (example, crop) in enumerate(expected):
        assert torch.equal(found.images[place], crops[example][0][crop])
        assert torch.equal(found.labels[:, place], crops[example][1].values[crop, [3, 1]])


def test_a_memory_as_tensors_by_name_is_the_same_memory():
    vtm = small_vtm()
    with torch.no_grad():
        memory = vtm.remember(noise(1, 2, 3, 48, 48), noise(2, 3, 2, 48, 48), some_biases(vtm, 3))
    found = memory_of("4.", Memory(tensors_of("4.", memory), {}), list(memory.group))
    assert found.group == memory.group
    assert found.biases.keys() == memory.biases.keys()
    assert all(torch.equal(one, two) for one, two in zip(found.keys + found.values, memory.keys + memory.values, strict=True))
