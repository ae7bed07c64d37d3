"""Episodes of a benchmark: any place of the list at any time, and what is refused before anything is drawn."""

from dataclasses import dataclass, field

import pytest

from likewise.episodes.benchmark import episodes_of
from likewise.episodes.lists import ImageList
from likewise.episodes.sampling import fscs_episode
from likewise.errors import InputError, UsageError

BY_CLASS = {number: [f"{number}-{index}" for index in range(4 + number)] for number in (2, 5, 7, 9)}
LINES = [(name, number) for number, names in BY_CLASS.items() for name in names]


@dataclass
class Lists:
    """A benchmark of names alone."""

    name: str = "lists"
    folds: int = 1
    queries: list = field(default_factory=list)
    class_names: dict = field(default_factory=lambda: {number: f"class {number}" for number in BY_CLASS})

    def images(self, part, fold):
        del part, fold
        return ImageList(BY_CLASS, self.queries)


def test_with_the_seed_zero_the_episodes_of_a_test_are_the_published_ones():
    found = episodes_of(Lists(), "test", way=3, shot=2, count=30)
    assert list(found) == [fscs_episode(ImageList(BY_CLASS), index, 3, 2) for index in range(30)]


def test_another_seed_gives_other_episodes_and_the_same_seed_the_same():
    draws = [list(episodes_of(Lists(), "test", way=2, count=25, seed=seed)) for seed in (0, 4, 5, 4)]
    assert draws[1] == draws[3]
    assert draws[0] != draws[1] != draws[2]


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_episode_does_not_depend_on_those_asked_before(part):
    found = episodes_of(Lists(queries=LINES), part, way=2, count=60, seed=3)
    assert [found[index] for index in (41, 7, -1)] == [list(found)[index] for index in (41, 7, 59)]
    assert found[10:20:3] == [list(found)[index] for index in (10, 13, 16, 19)]


def test_training_takes_every_listed_query_once_a_round_in_changing_order():
    found = episodes_of(Lists(queries=LINES), "train", count=2 * len(LINES))
    rounds = [[episode.query for episode in found[start : start + len(LINES)]] for start in (0, len(LINES))]
    assert sorted(rounds[0]) == sorted(rounds[1]) == sorted(name for name, _ in LINES)
    assert rounds[0] != rounds[1]
    assert rounds[0] != [name for name, _ in LINES]


def test_shots_may_differ_from_class_to_class():
    for episode in episodes_of(Lists(), "test", way=3, shot=(1, 4, 2), count=20):
        assert [len(names) for names in episode.supports] == [1, 4, 2]
        assert all(set(names) <= set(BY_CLASS[number]) - {episode.query} for number, names in zip(episode.classes, episode.supports, strict=True))


def test_a_query_of_fss_shows_the_class_of_its_support():
    assert all(episode.query in BY_CLASS[episode.classes[0]] for episode in episodes_of(Lists(), "test", frame="fss", count=40))


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"shot": 6}, InputError, "'class 2' has 6 images: a query and 6 shots need 7"),
        ({"way": 5}, UsageError, "5 ways of 4 classes"),
        ({"way": 2, "shot": (1, 2, 3)}, UsageError, "3 numbers of shots for 2 ways"),
        ({"way": 2, "frame": "fss"}, UsageError, "FS-S has one class"),
        ({"frame": "fsc"}, UsageError, "did you mean 'fscs'"),
        ({"part": "tests"}, UsageError, "did you mean 'test'"),
        ({"count": 0}, UsageError, "at least one"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_the_first_episode(asked, kind, words):
    with pytest.raises(kind, match=words):
        episodes_of(Lists(), **{"part": "test", **asked})
