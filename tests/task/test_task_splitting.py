"""Objects of a task: chosen where the examples tell them apart or somebody asks, kept in its file, learned again with it."""

import numpy as np
import pytest

import likewise
from likewise.data import Example, Instance, Support
from likewise.errors import UsageError
from likewise.task.splitting import FACT, READOUT, Splitter
from likewise.testing.conformance import BACKBONE

SMALL = {"method": "ridge", "backbone": BACKBONE, "device": "cpu", "engine": "torch"}


def discs(seed, size=(72, 96)):
    """A picture of bright discs, most of them in touching pairs, and the discs."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    pixels, taken, found = random.integers(20, 60, (*size, 3)).astype(np.uint8), np.zeros(size, bool), []
    for x, y in ((20, 20), (37, 21), (70, 50), (30, 56)):
        mine = ((columns - x - random.integers(0, 3)) ** 2 + (rows - y) ** 2 < 81) & ~taken
        taken |= mine
        pixels[mine] = (230, 200, 60)
        found.append(Instance.of(mine))
    return pixels, found


def example(seed, *, apart=True):
    pixels, found = discs(seed)
    if apart:
        return Example(pixels, f"e{seed}", instances={"disc": found})
    mask = np.zeros(pixels.shape[:2], bool)
    for one in found:
        one.mark(mask, True)
    return Example(pixels, f"e{seed}", masks={"disc": mask})


@pytest.fixture(scope="module")
def task():
    return likewise.learn(Support([example(seed) for seed in range(3)]), **SMALL)


def test_objects_partition_the_mask_and_each_has_a_score(task):
    found = task.predict(discs(7)[0])
    assert np.array_equal(found.instances > 0, found.labels == 1)
    assert set(found.object_scores) == set(np.unique(found.instances)) - {0}
    assert all(0 <= score <= 1 for score in found.object_scores.values())
    assert [one.score for one in found.objects[1]] == list(found.object_scores.values())


def test_a_task_from_its_file_says_the_same_and_learns_the_same_again(tmp_path, task):
    task.save(tmp_path / "t.task")
    again = likewise.load(tmp_path / "t.task", engine="torch")
    one, two = (each.predict(discs(8)[0]) for each in (task, again))
    assert np.array_equal(one.instances, two.instances)
    assert one.object_scores == pytest.approx(two.object_scores, abs=1e-6)
    anew = likewise.learn(Support([example(seed) for seed in range(2)]), **SMALL)
    assert again.forget("e2").memory.facts[FACT] == anew.memory.facts[FACT]


def test_masks_stay_whole_where_examples_do_not_tell_objects_apart():
    task = likewise.learn(Support([example(0, apart=False)]), **SMALL)
    assert FACT not in task.memory.facts
    assert task.predict(discs(7)[0]).instances is None


def test_one_object_in_every_example_says_nothing_of_several():
    pixels, found = discs(0)
    task = likewise.learn(Support([Example(pixels, "one", instances={"disc": found[:1]})]), **SMALL)
    assert FACT not in task.memory.facts


def test_off_leaves_masks_whole_and_is_remembered():
    task = likewise.learn(Support([example(0), example(1)]), instances="off", **SMALL)
    assert task.predict(discs(7)[0]).instances is None
    assert FACT not in task.forget("e1").memory.facts


@pytest.mark.parametrize("way", ["parts", "watershed"])
def test_a_way_can_be_asked_for_without_objects_in_the_examples(way):
    task = likewise.learn(Support([example(0, apart=False)]), instances=way, **SMALL)
    (split,) = Splitter.of(task.memory).splits.values()
    assert (split.way, split.quality) == (way, None)
    assert task.predict(discs(7)[0]).instances is not None


@pytest.mark.parametrize("way", ["depth", "offsets"])
def test_a_learned_way_keeps_its_read_out(way):
    task = likewise.learn(Support([example(0), example(1)]), instances=way, **SMALL)
    assert task.memory.facts[FACT]["1"]["way"] == way
    assert READOUT in task.memory.tensors
    assert task.predict(discs(7)[0]).instances.max() > 0


def test_an_unknown_way_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="watershed"):
        likewise.learn(Support([example(0)]), instances="watershet", **SMALL)


def test_a_support_with_other_objects_is_another_support():
    pixels, found = discs(0)
    joined = Instance.of(found[0].mask((72, 96)) | found[1].mask((72, 96)))
    one, two = (Support([Example(pixels, "e", instances={"disc": objects})]) for objects in (found, [joined, *found[2:]]))
    assert np.array_equal(one.examples[0].labels.label_map, two.examples[0].labels.label_map)
    assert one.digest() != two.digest()


def test_labels_with_objects_come_back_from_a_task_file_as_they_were(tmp_path, task):
    task.save(tmp_path / "t.task")
    again = likewise.load(tmp_path / "t.task", engine="torch")
    for one, two in zip(task.support.examples, again.support.examples, strict=True):
        before, after = ([(each.box, each.score, each.patch.tolist()) for each in example.labels.instances[1]] for example in (one, two))
        assert before == after


def test_writers_write_an_object_each(tmp_path, task):
    pixels = discs(7)[0]
    found = task.predict(pixels)
    assert found.instances.max() > 1
    found.save(tmp_path / "a.json", "labelme")
    assert (tmp_path / "a.json").read_text().count('"label": "disc"') >= int(found.instances.max())
