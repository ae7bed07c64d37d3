"""From an episode to a support: (class, shot) pairs, and weaker labels made of masks."""

import numpy as np
import pytest
from benchmarks_made import labelled_folder

from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.sampling import Episode
from likewise.episodes.support import Prompting, support_of
from likewise.errors import InputError, UsageError

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


class TestPrompts:
    EPISODE = Episode("c2-0", (1, 3), (("both",), ("c3-0",)))

    def inside(self, benchmark, name, number, point):
        return benchmark.labels(name)[int(point[1]), int(point[0])] == number

    def test_points_of_a_person_lie_in_their_class_and_negative_ones_outside_all(self, benchmark):
        support = support_of(self.EPISODE, benchmark, Prompting("point", points=3, negative=2), "joint")
        for example, name in zip(support.examples, ("both", "c3-0"), strict=True):
            for place, (positive, negative) in example.labels.points.items():
                assert (len(positive), len(negative)) == (3, 2)
                assert all(self.inside(benchmark, name, (1, 3)[place - 1], point) for point in positive)
                assert all(self.inside(benchmark, name, 0, point) for point in negative)
        assert dict(support.examples[1].labels.tags) == {1: False}

    def test_chance_hangs_on_the_seed_and_the_episode_alone(self, benchmark):
        def points(seed):
            return [example.labels.points[2][0].tolist() for example in support_of(self.EPISODE, benchmark, Prompting("point", 4, seed=seed), "joint").examples]

        assert points((3, 5)) == points((3, 5))
        assert points((3, 5)) != points((3, 6))
        assert points((3, 5)) != points((4, 5))

    def test_a_box_is_drawn_around_each_part_of_a_class(self, tmp_path):
        data = LabelledBenchmark.open(labelled_folder(tmp_path / "two", {1: 3}), folds=1)
        labels = np.zeros((40, 57), np.uint8)
        labels[2:9, 3:12], labels[20:31, 30:50] = 1, 1
        data.labels = lambda name: labels
        (example,) = support_of(Episode("c1-1", (1,), (("c1-0",),)), data, "box").examples
        assert sorted(example.labels.boxes[1].tolist()) == [[3, 2, 12, 9], [30, 20, 50, 31]]

    def test_scribbles_run_through_their_class(self, benchmark):
        (example, _) = support_of(self.EPISODE, benchmark, "scribble").examples
        assert all(self.inside(benchmark, "both", 1, point) for point in example.labels.scribbles[1][0])

    def test_published_prompts_are_one_an_object_of_the_kind_asked_for(self, benchmark):
        support = support_of(self.EPISODE, benchmark, Prompting("box", simulator="published"), "joint")
        assert {place: len(boxes) for place, boxes in support.examples[0].labels.boxes.items()} == {1: 1, 2: 1}
        assert support.examples[0].labels.label_map is None
        points = support_of(self.EPISODE, benchmark, Prompting("point", simulator="published"), "joint").examples[0].labels.points
        assert all(1 <= len(positive) <= 10 for positive, _ in points.values())
        masks = support_of(self.EPISODE, benchmark, Prompting("mask", simulator="published"), "joint").examples[0].labels
        assert np.array_equal(masks.label_map, np.select([benchmark.labels("both") == 1, benchmark.labels("both") == 3], [1, 2], 0))

    def test_the_mix_goes_through_all_seven_sets_of_masks_boxes_and_points(self, benchmark):
        found = set()
        for index in range(60):
            kinds = support_of(self.EPISODE, benchmark, Prompting("mix", simulator="published", seed=(0, index)), "joint").kinds()
            found.add(frozenset(kind for kind in kinds if kind != "tag"))
        assert {len(kinds) for kinds in found} == {1, 2, 3}
        assert len(found) == 7

    def test_an_image_drawn_twice_is_there_once_or_as_often_as_drawn(self, benchmark):
        episode = Episode("c2-0", (1, 3), (("both",), ("both",)))
        assert [len(support_of(episode, benchmark, pairing=pairing).examples) for pairing in ("joint", "drawn")] == [1, 2]

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({"points": 0}, "0 points"),
            ({"labelling": "box", "points": 3}, "belong to points of a person"),
            ({"labelling": "point", "simulator": "published", "negative": 1}, "belong to points of a person"),
            ({"labelling": "scribble", "simulator": "published"}, "makes no scribbles"),
            ({"labelling": "mix"}, "is that of the published code"),
        ],
    )
    def test_prompts_that_nobody_makes_are_refused(self, asked, words):
        with pytest.raises(UsageError, match=words):
            Prompting(**asked)
