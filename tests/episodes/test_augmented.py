"""Augmented episodes: supports that show other classes are used for them; what is evaluated then, and what is refused."""

import json

import numpy as np
import pytest
from benchmarks_made import labelled_folder

from likewise.episodes.augmented import SHARE, Augmenting, augmented
from likewise.episodes.evaluation import Contender, Setting, drawn
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.running import Job, name_of, page_of_all, run_all
from likewise.episodes.sampling import Episode, fscs_episode
from likewise.episodes.support import support_of
from likewise.episodes.views import ViewsBenchmark
from likewise.errors import UsageError
from likewise.task.learning import Place


def plane(**shares):
    """A label map of 1,000 pixels with so many per thousand of each class ("c5" of class 5)."""
    found = np.zeros(1000, np.uint8)
    start = 0
    for name, count in shares.items():
        found[start : start + count] = int(name[1:])
        start += count
    return found.reshape(20, 50)


def found(classes, labels, known, share=0.05, seed=0):
    return augmented(classes, labels, known, share, np.random.RandomState(seed))


def test_a_support_is_used_for_the_classes_of_the_episode_that_it_shows():
    result = found([5, 9], [[plane(c5=300, c9=60)], [plane(c9=200)]], [5, 9])
    assert result.classes == (5, 9)
    assert result.supports == (((0, 0), (0, 0)), ((1, 0), (0, 0)))  # class 5 is filled up with its own
    assert result.changed


def test_other_classes_of_the_fold_come_behind_in_the_order_in_which_they_are_found():
    labels = [[plane(c5=300, c17=60, c13=70)], [plane(c9=200, c17=80)]]
    assert found([5, 9], labels, [5, 9]).classes == (5, 9)
    result = found([5, 9], labels, [5, 9, 13, 17])
    assert result.classes == (5, 9, 13, 17)
    assert result.supports[3] == ((0, 0), (1, 0))
    assert [len(listed) for listed in result.supports] == [2, 2, 2, 2]
    assert set(result.supports[2]) == {(0, 0)}


def test_what_is_as_small_as_the_share_and_void_are_passed_over():
    at, above = plane(c5=300, c9=50), plane(c5=300, c9=51)
    assert not found([5, 9], [[at], [plane(c9=200)]], [5, 9]).changed
    assert found([5, 9], [[above], [plane(c9=200)]], [5, 9]).changed
    assert not found([5, 9], [[plane(c5=300, c255=400)], [plane(c9=200)]], [5, 9, 255]).changed


def test_chance_is_used_only_to_fill_up():
    random = np.random.RandomState(4)
    augmented([5, 9], [[plane(c5=300)], [plane(c9=200)]], [5, 9], 0.05, random)
    assert random.randint(10**6) == np.random.RandomState(4).randint(10**6)
    shots = [[plane(c5=300, c9=60)] * 6, [plane(c9=200)] * 6]
    fills = {found([5, 9], shots, [5, 9], seed=seed).supports[0][6:] for seed in range(8)}
    assert len(fills) > 1
    assert all(len(fill) == 6 and {way for way, _ in fill} == {0} for fill in fills)


class TestEpisodes:
    @pytest.fixture
    def data(self, tmp_path):
        both = {f"both-{index}": {1: (2, 3 + index), 2: (20, 30)} for index in range(4)}
        return LabelledBenchmark.open(labelled_folder(tmp_path / "colours", {1: 3, 2: 3, 3: 3}, both), folds=1)

    def test_each_is_what_the_function_makes_of_the_one_drawn_with_the_generator_going_on(self, data):
        plain, full = (drawn(data, Setting(way=2, episodes=40, augment=augment)) for augment in ("none", "full"))
        images = data.images("test", 0)
        grow = Augmenting("full", SHARE, data.labels)
        for index, other in enumerate(full):
            random = np.random.RandomState(index)
            assert grow(fscs_episode(images, index, 2, 1, random), [1, 2, 3], random) == other
        assert sum(other != one for one, other in zip(plain, full, strict=True)) > 10
        assert drawn(data, Setting(way=2, episodes=40, augment="full"))[7] == full[7]

    def test_partly_augmented_ones_have_the_classes_that_were_drawn(self, data):
        plain, partial = (drawn(data, Setting(way=2, episodes=40, augment=augment)) for augment in ("none", "partial"))
        assert [episode.classes for episode in plain] == [episode.classes for episode in partial]
        assert any(len(episode.supports[0]) > 1 for episode in partial)

    def test_a_support_of_several_classes_is_an_example_of_each_with_that_class_alone(self, data):
        episode = Episode("c1-0", (1, 2), (("both-0",), ("c2-1",)))
        more = Augmenting("partial", 0.03, data.labels)(episode, [1, 2, 3], np.random.RandomState(0))
        support = support_of(more, data)
        assert [example.name.partition("/")[2] for example in support.examples] == ["both-0", "both-0", "c2-1", "both-0"]
        assert [sorted(set(np.unique(example.labels.label_map)) - {0}) for example in support.examples] == [[1], [1], [2], [2]]

    def test_added_classes_count_in_the_scores(self, data, tmp_path):
        contender = Contender(method="prototype", backbone="random:vit-tiny-14", settings={"side": 56}, place=Place("cpu", "torch"))
        setting = Setting(way=1, episodes=12, augment="full")
        (record,) = run_all(Job(data, [0], tmp_path / "out"), [contender], setting)
        lines = (tmp_path / "out" / "prototype" / name_of(setting) / "fold0" / "episodes.jsonl").read_text().splitlines()
        asked = [len(json.loads(line)["classes"]) for line in lines if "classes" in json.loads(line)]
        assert min(asked) == 1
        assert max(asked) == 2
        assert record["episodes"]["augment"] == "full"
        assert "fully augmented" in page_of_all([record]).splitlines()[0]


class TestWhatIsRefused:
    def test_other_frames_and_pairings(self):
        for wrong in ({"frame": "fss"}, {"frame": "nway", "way": 2}, {"pairing": "joint"}):
            with pytest.raises(UsageError, match="augmented"):
                Setting(augment="partial", **wrong)
        with pytest.raises(UsageError, match="empty"):
            Setting(frame="fss", empty=False)

    def test_pictures_of_one_class(self, tmp_path):
        data = ViewsBenchmark(LabelledBenchmark.open(labelled_folder(tmp_path / "colours", {1: 3, 2: 3}), folds=1))
        with pytest.raises(UsageError, match="one class alone"):
            drawn(data, Setting(augment="full"))

    def test_settings_without_the_switches_are_named_and_recorded_as_they_were(self):
        assert name_of(Setting(way=2)) == "test-fscs-2way-1shot-mask"
        assert not {"augment", "empty"} & Setting().facts().keys()
        assert Setting(empty=False, augment="partial").facts().items() >= {"empty": False, "augment": "partial"}.items()
