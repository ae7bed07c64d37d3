"""Episodes: what every one must be; that they are the published ones is shown by the golden files."""

import numpy as np
import pytest

from likewise.episodes.lists import ImageList
from likewise.episodes.sampling import fscs_episode, fss_episode
from likewise.errors import InputError, UsageError

BY_CLASS = {number: [f"{number}-{index}" for index in range(6 + number)] for number in (2, 5, 7, 9)}
DRAWN = ImageList(BY_CLASS)
LISTED = ImageList(BY_CLASS, [(name, number) for number, names in BY_CLASS.items() for name in names])


@pytest.mark.parametrize("images", [DRAWN, LISTED], ids=["drawn queries", "listed queries"])
def test_supports_are_distinct_show_their_class_and_are_not_the_query(images):
    for index in range(40):
        episode = fscs_episode(images, index, way=3, shot=4)
        assert len(set(episode.classes)) == 3
        for number, names in zip(episode.classes, episode.supports, strict=True):
            assert len(set(names)) == 4
            assert set(names) <= set(BY_CLASS[number]) - {episode.query}


def test_an_episode_depends_on_its_index_alone():
    one = [fscs_episode(DRAWN, index, 2, 3) for index in (5, 6, 7)]
    assert [fscs_episode(DRAWN, index, 2, 3) for index in (7, 5, 6)] == [one[2], one[0], one[1]]
    assert len(set(one)) == 3


def test_listed_queries_come_in_their_order_again_and_again():
    total = len(LISTED.queries)
    assert [fscs_episode(LISTED, index, 1, 1).query for index in (0, 3, total + 3)] == [LISTED.queries[place][0] for place in (0, 3, 3)]


def test_the_querys_class_is_among_one_way_in_half_of_the_episodes():
    shown = [fscs_episode(LISTED, index, 1, 1).classes[0] == LISTED.queries[index % len(LISTED.queries)][1] for index in range(600)]
    assert 0.44 < np.mean(shown) < 0.56


@pytest.mark.parametrize("images", [DRAWN, LISTED], ids=["drawn queries", "listed queries"])
def test_without_empty_masks_the_query_shows_the_first_class_and_the_others_are_drawn_alike(images):
    episodes = [fscs_episode(images, index, 3, 2, empty=False) for index in range(200)]
    assert all(episode.query in BY_CLASS[episode.classes[0]] for episode in episodes)
    assert all(len(set(episode.classes)) == 3 for episode in episodes)
    of_two = [set(episode.classes[1:]) for episode in episodes if episode.classes[0] == 2]
    assert {number for others in of_two for number in others} == {5, 7, 9}


def test_without_empty_masks_one_way_is_fss():
    assert [fscs_episode(LISTED, index, 1, 2, empty=False) for index in range(20)] == [fss_episode(LISTED, index, 2) for index in range(20)]


def test_a_generator_that_runs_on_gives_other_episodes_each_time():
    random = np.random.RandomState(3)
    episodes = {fscs_episode(LISTED, 4, 2, 1, random) for _ in range(20)}
    assert {episode.query for episode in episodes} == {LISTED.queries[4][0]}
    assert len(episodes) > 15


def test_fss_episodes_have_the_querys_class_and_distinct_supports_unless_as_published():
    images = ImageList({4: ["a", "b", "c", "d"]})
    sane = [fss_episode(images, index, 3) for index in range(30)]
    published = [fss_episode(images, index, 3, official=True) for index in range(30)]
    assert all(episode.classes == (4,) and len({episode.query, *episode.supports[0]}) == 4 for episode in sane)
    assert any(len(set(episode.supports[0])) < 3 for episode in published)
    assert all(episode.query not in episode.supports[0] for episode in published)


def test_a_class_with_too_few_images_is_an_error_and_not_a_search_without_end():
    few = ImageList({1: ["a"], 2: ["b", "b", "c"]}, [("b", 2)])
    for shot, way in ((5, 2), (2, 2)):
        with pytest.raises(InputError, match=r"class \d has 1 images besides the query"):
            fscs_episode(few, 0, way, shot)
    with pytest.raises(InputError, match="class 1 has 0 images"):
        fss_episode(ImageList({1: ["a"]}), 0, 1, official=True)


def test_more_ways_than_classes_are_refused():
    with pytest.raises(UsageError, match="5 ways of 4 classes"):
        fscs_episode(DRAWN, 0, 5, 1)
