"""Channels: labels of any kind become 0..1 and come back in the user's unit."""

import numpy as np
import pytest
import torch

from likewise.data import Example, Support, Target
from likewise.errors import InputError
from likewise.functional.links import decode
from likewise.methods.vtm.channels import Channels, channels_of, planes_of

PICTURE = np.zeros((12, 17, 3), np.uint8)
RANDOM = np.random.default_rng(0)


def values(*shape, low=0.0, high=1.0):
    return RANDOM.uniform(low, high, (12, 17, *shape)).astype(np.float32)


def support(target, *maps):
    return Support([Example(PICTURE, f"{i}", dense={"t": one}) for i, one in enumerate(maps)], targets={"t": target})


UNIT = torch.nn.functional.normalize(torch.from_numpy(values(3, low=-1)), dim=-1).numpy()
CASES = {
    "depth in metres": (Target(unit="m"), values(low=0.4, high=9)),
    "depth by its logarithm": (Target(unit="mm", kind="log"), values(low=300, high=9000)),
    "an angle": (Target(unit="rad", kind="angle"), values(low=-3.1, high=3.1)),
    "normals": (Target(kind="unit_vector"), UNIT),
    "a flow": (Target(unit="px", kind="vector"), values(2, low=-30, high=12)),
    "a heat map": (Target(kind="heatmap"), values()),
    "a density": (Target(kind="density"), values(high=0.02)),
    "a soft mask": (Target(kind="soft_mask"), values()),
    "a range of its own": (Target(unit="m", range=(0.0, 20.0)), values(low=0.4, high=9)),
    "a signed distance": (Target(unit="px"), values(low=-40, high=25)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_goes_in_comes_out_in_the_users_unit(case):
    target, given = CASES[case]
    examples = support(target, given)
    channels = Channels.of(channels_of(examples, 0.05).facts())
    planes = planes_of(examples.examples[0], channels, (12, 17))
    assert 0 <= float(planes.values.min()) <= float(planes.values.max()) <= 1
    assert bool((planes.known == 1).all())
    found = decode(channels.values(planes.values, 12 * 17)["t"].movedim(0, -1), channels.links["t"]).numpy()
    np.testing.assert_allclose(found.squeeze(), given, rtol=1e-3, atol=1e-4 * np.abs(given).max())


def test_unknown_values_are_unknown_pixels_and_do_not_blur_into_others():
    given = np.ones((12, 17), np.float32)
    given[:, :8] = np.nan
    given[5, 12] = 9
    examples = support(Target(), given)
    planes = planes_of(examples.examples[0], channels_of(examples, 0.0), (6, 17))
    assert bool((planes.known[0, :, :8] == 0).all())
    assert bool((planes.known[0, :, 8:] == 1).all())
    assert float(planes.values[0, 2, 12]) == pytest.approx(0.5)
    assert float(planes.values[0].sum()) == pytest.approx(0.5)


def test_a_constant_is_answered_by_that_constant():
    examples = support(Target(), np.full((12, 17), 7.0, np.float32))
    channels = channels_of(examples, 0.05)
    planes = planes_of(examples.examples[0], channels, (12, 17))
    assert bool((planes.values == 0.5).all())
    assert bool((channels.values(torch.rand(1, 3, 4), 12)["t"] == 7).all())


def test_a_target_of_which_nothing_is_known_is_refused():
    with pytest.raises(InputError, match="unknown"):
        channels_of(support(Target(), np.full((12, 17), np.nan, np.float32)), 0.05)


def test_angles_in_degrees_become_sine_and_cosine():
    channels = channels_of(support(Target(kind="angle", unit="deg"), values() * 360), 0.05)
    assert channels.links == {"t": "degrees"}
    assert [(part.low, part.high) for part in channels.components] == [(-1.0, 1.0)] * 2


def test_classes_come_first_one_channel_each_and_ignored_pixels_are_unknown():
    labels = np.zeros((12, 17), np.uint8)
    labels[:4], labels[4:6], labels[6] = 1, 5, 255
    examples = Support([Example(PICTURE, "0", label_map=labels, dense={"t": values()})], classes={1: "a", 3: "never", 5: "b"}, targets={"t": Target()})
    channels = channels_of(examples, 0.05)
    assert channels.classes == (1, 5)
    assert channels.categorical.tolist() == [True, True, False]
    planes = planes_of(examples.examples[0], channels, (12, 17))
    assert planes.values[0, :, 3].tolist() == [1] * 4 + [0] * 8
    assert planes.values[1, :, 3].tolist() == [0] * 4 + [1] * 2 + [0] * 6
    assert planes.known[0, :, 3].tolist() == [1] * 6 + [0] + [1] * 5
    assert bool((planes.known[2] == 1).all())


def test_pixels_that_nobody_labelled_are_unknown_where_the_example_says_so():
    labels = np.zeros((12, 17), np.uint8)
    labels[:4], labels[4:6] = 1, 2
    examples = Support([Example(PICTURE, "0", label_map=labels, unlabelled="unknown")], classes={1: "a", 2: "b"})
    planes = planes_of(examples.examples[0], channels_of(examples, 0.05), (12, 17))
    assert planes.known[0, :, 0].tolist() == [1] * 6 + [0] * 6


def test_an_example_without_labels_of_a_channel_says_nothing_of_it_unless_its_tags_do():
    examples = Support(
        [Example(PICTURE, "0", dense={"t": values()}), Example(PICTURE, "1", tags={"a": False}), Example(PICTURE, "2", label_map=np.ones((12, 17), np.uint8))],
        classes={1: "a"},
        targets={"t": Target()},
    )
    channels = channels_of(examples, 0.05)
    known = [planes_of(example, channels, (12, 17)).known.flatten(1).mean(dim=1).tolist() for example in examples.examples]
    assert known == [[0, 1], [1, 0], [1, 0]]
