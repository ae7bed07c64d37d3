"""Unlike these: good pictures alone find what they do not show, name it where examples tell kinds apart, and promise what they can."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import InputError, UsageError
from likewise.methods.base import Query
from likewise.methods.unlike import Unlike, UnlikeSettings

GRID, SIZE, WIDTH = (6, 9), (60, 90), 8
GROUND, RED, GREEN = 0, 1, 2


def features(kinds, seed):
    """Features of a picture whose patches (h, w) are of kinds: each near to an axis of its own."""
    noise = 0.1 * torch.randn(kinds.numel(), WIDTH, generator=torch.Generator().manual_seed(seed))
    tokens = torch.eye(WIDTH)[kinds.reshape(-1)] + noise
    return ImageFeatures(tokens[None].half(), torch.zeros(1, 1, WIDTH), tuple(kinds.shape), SIZE)


def ground():
    return torch.full(GRID, GROUND)


def with_square(kind):
    kinds = ground()
    kinds[1:5, 3:7] = kind
    return kinds


def pixels_of(kinds):
    return np.kron(kinds.numpy(), np.ones((10, 10), np.int64)).astype(np.uint8)


def learn(pictures, labels, classes, **settings):
    """The method and what it learned: pictures are kinds of patches, labels keyword arguments of their examples."""
    method = Unlike(replace(UnlikeSettings(), **settings))
    examples = [Example(np.zeros((*SIZE, 3), np.uint8), f"{index}", **given) for index, given in enumerate(labels)]
    found = [features(kinds, seed) for seed, kinds in enumerate(pictures)]
    return method, method.learn(Support(examples, classes), {method.wants()[0]: found})


def answer(method, memory, kinds, seed=99):
    (found,) = method.predict([Query(SIZE)], {method.wants()[0]: [features(kinds, seed)]}, memory)
    return found


GOOD = {"tags": {"odd": False}}


@pytest.fixture(scope="module")
def from_good():
    return learn([ground()] * 12, [GOOD] * 12, ["odd"])


def test_what_good_pictures_do_not_show_is_found_where_it_is(from_good):
    found = answer(*from_good, with_square(GREEN))
    assert float(found.presence) > 0.99
    assert bool((found.logits.argmax(0)[2:4, 4:6] == 1).all())
    assert not bool(found.logits.argmax(0)[:, :2].any())


def test_a_good_picture_is_left_alone(from_good):
    found = answer(*from_good, ground())
    assert float(found.presence) < 0.5
    assert bool((found.class_confidence == 0).all())  # nothing is marked of a class that is absent
    assert found.confidence == pytest.approx(1 - float(found.presence))


def test_presence_is_a_half_at_the_threshold_and_grows_with_the_distance(from_good):
    method, memory = from_good

    def presence(threshold, spread):
        facts = {**memory.facts, "presence": threshold, "spread": spread}
        return answer(method, replace(memory, facts=facts), with_square(RED)).presence

    top = float(torch.logit(presence(0.0, 1.0)))
    assert 0.5 < top < 1.0  # the square is at a right angle to all that is known, but for noise
    assert float(presence(top, 0.1)) == pytest.approx(0.5, abs=1e-4)
    assert float(presence(top - 0.1, 0.1)) == pytest.approx(np.e / (1 + np.e), abs=1e-4)


@pytest.mark.parametrize(("count", "promised"), [(3, 1 / 4), (9, 1 / 10), (12, 1 / 13)])
def test_the_alarm_promises_what_so_many_good_pictures_can(count, promised):
    _, memory = learn([ground()] * count, [GOOD] * count, ["odd"])
    assert memory.facts["alarm"] == {"threshold": memory.facts["presence"], "promised": pytest.approx(promised), "asked": 0.1, "images": count}


def test_more_false_alarms_allowed_is_a_lower_threshold():
    few, many = (learn([ground()] * 12, [GOOD] * 12, ["odd"], false_alarms=share)[1].facts["presence"] for share in (0.1, 0.6))
    assert many < few


def test_one_good_picture_is_compared_with_itself():
    method, memory = learn([ground()], [GOOD], ["odd"])
    assert float(answer(method, memory, with_square(RED)).presence) > 0.9
    assert memory.facts["alarm"]["promised"] == 0.5


def test_what_is_labelled_is_left_out_of_memory_and_is_found_elsewhere():
    marked = [with_square(RED)] * 3
    labels = [{"label_map": pixels_of(kinds)} for kinds in marked]
    method, memory = learn(marked, labels, {1: "red"})
    cosines = memory.tensors["memory"].float() @ torch.eye(WIDTH)[RED]
    assert float(cosines.max()) < 0.6
    assert "alarm" not in memory.facts
    found = answer(method, memory, with_square(RED))
    overlap = (found.logits.argmax(0) == 1) & (with_square(RED) == RED)
    assert float(overlap.sum()) / 16 > 0.7


def test_kinds_of_defects_are_told_apart_where_examples_show_them():
    pictures = [with_square(RED), with_square(GREEN), ground()]
    method, memory = learn(pictures, [{"label_map": pixels_of(kinds)} for kinds in pictures], {1: "red", 2: "green"})
    for kind in (RED, GREEN):
        found = answer(method, memory, with_square(kind))
        assert set(found.logits.argmax(0)[2:4, 4:6].unique().tolist()) == {kind}
        assert [bool(value > 0.5) for value in found.presence] == [kind == RED, kind == GREEN]


def test_a_class_of_several_that_no_example_shows_is_nowhere():
    pictures = [with_square(RED), with_square(RED)]
    method, memory = learn(pictures, [{"label_map": pixels_of(kinds)} for kinds in pictures], {1: "red", 2: "green"})
    found = answer(method, memory, with_square(GREEN))
    assert float(found.presence[1]) == 0
    assert not bool((found.logits.argmax(0) == 2).any())


def test_several_classes_of_which_none_is_shown_cannot_be_told_apart():
    with pytest.raises(InputError, match="no example shows any of red, green"):
        learn([ground()], [{"tags": {"red": False, "green": False}}], ["red", "green"])


def test_without_any_background_there_is_nothing_to_be_unlike():
    with pytest.raises(InputError, match="background"):
        learn([torch.full(GRID, RED)], [{"label_map": np.ones(SIZE, np.uint8)}], {1: "red"})


@pytest.mark.parametrize("name", ["false_alarms", "extent"])
@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_share_that_cannot_be_is_refused(name, share):
    with pytest.raises(UsageError, match=name):
        UnlikeSettings().changed(**{name: share})


@pytest.mark.parametrize("extent", [0.02, 0.3])
def test_the_mask_begins_at_what_so_many_cells_of_left_out_good_pictures_exceed(extent):
    _, memory = learn([ground()] * 12, [GOOD] * 12, ["odd"], extent=extent)
    known = [features(ground(), seed).joined() for seed in range(12)]
    far = []
    for index, own in enumerate(known):
        others = torch.cat([each for place, each in enumerate(known) if place != index])
        plane = np.pad((1 - (own @ others.T).amax(1)).reshape(GRID).numpy(), 1, constant_values=np.nan)
        far.append([np.nanmean(plane[row : row + 3, column : column + 3]) for row in range(GRID[0]) for column in range(GRID[1])])
    assert (np.array(far) > memory.facts["pixels"]).mean() == pytest.approx(extent, abs=0.01)
    assert memory.facts["pixels"] < memory.facts["presence"]


def test_the_memory_keeps_to_its_budget_with_an_equal_part_for_each_picture():
    _, memory = learn([ground()] * 4, [GOOD] * 4, ["odd"], budget=40)
    assert memory.tensors["memory"].shape == (40, WIDTH)
    assert memory.tensors["memory"].dtype == torch.float16
