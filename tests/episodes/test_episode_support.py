"""From an episode to a support: (class, shot) pairs, and weaker labels made of masks."""

import numpy as np
import pytest
from benchmarks_made import labelled_folder

from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.sampling import Episode
from likewise.episodes.support import support_of
from likewise.errors import InputError

BOTH = {"both": {1: (2, 3), 3: (20, 30)}}
EPISODE = Episode("c2-0", (3, 1), (("both", "c3-0"), ("both",)))


@pytest.fixture
def benchmark(tmp_path):
    return LabelledBenchmark.open(labelled_folder(tmp_path / "set", {1: 3, 2: 2, 3: 2}, BOTH), folds=1)


def maps(support):
    return [(example.name.split("/")[1], sorted(set(example.labels.label_map.ravel().tolist()))) for example in support.examples]


def test_classes_are_numbered_in_the_order_drawn(benchmark):
    assert dict(support_of(EPISODE, benchmark).classes.names) == {1: "class-3", 2: "class-1"}


def test_as_pairs_an_image_drawn_for_two_classes_is_there_twice_with_the_other_as_background(benchmark):
    support = support_of(EPISODE, benchmark)
    assert maps(support) == [("both", [0, 1]), ("c3-0", [0, 1]), ("both", [0, 2])]
    labels = benchmark.labels("both")
    assert np.array_equal(support.examples[0].labels.label_map == 1, labels == 3)
    assert np.array_equal(support.examples[2].labels.label_map == 2, labels == 1)
    assert (len(support.showing(1)), len(support.showing(2))) == (2, 1)


def test_jointly_an_image_is_there_once_with_all_that_it_shows(benchmark):
    support = support_of(EPISODE, benchmark, pairing="joint")
    assert maps(support) == [("both", [0, 1, 2]), ("c3-0", [0, 1])]
    other = support_of(Episode("c2-0", (3, 1), (("both",), ("c1-0",))), benchmark, pairing="joint")
    assert len(other.showing(2)) == 2  # one more than its shots


def test_classes_that_are_not_of_the_episode_are_background_and_void_stays_void(benchmark, monkeypatch):
    labels = benchmark.labels("both").copy()
    labels[:2] = 255
    monkeypatch.setattr(benchmark, "labels", lambda name: labels)
    found = support_of(Episode("c2-0", (3,), (("both",),)), benchmark).examples[0].labels.label_map
    assert np.array_equal(found, np.where(labels == 255, -1, labels == 3))


def test_weaker_labels_say_only_what_they_are(benchmark):
    episode = Episode("c2-0", (3, 1), (("both",), ("c1-1",)))
    box, other = support_of(episode, benchmark, "box").examples
    assert {number: boxes.tolist() for number, boxes in box.labels.boxes.items()} == {1: [[30.0, 20.0, 44.0, 34.0]]}
    assert list(other.labels.boxes) == [2]
    point = support_of(episode, benchmark, "point").examples[0].labels.points[1][0]
    x, y = point[0]
    assert benchmark.labels("both")[int(y), int(x)] == 3
    assert [dict(example.labels.tags) for example in support_of(episode, benchmark, "tag").examples] == [{1: True}, {2: True}]
    assert support_of(episode, benchmark, "tag").examples[0].labels.label_map is None


def test_an_image_that_does_not_show_its_class_is_an_error(benchmark):
    with pytest.raises(InputError, match="does not show the class") as caught:
        support_of(Episode("c2-0", (3,), (("c1-1",),)), benchmark)
    assert caught.value.where == "c1-1"
