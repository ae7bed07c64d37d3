"""Episodes of classes and items: what is drawn, that it depends on what it should, and what cannot be drawn."""

import itertools

import numpy as np
import pytest

from likewise.episodes.classification.sampling import Draw, closer_look_episodes, episode_at, prototypical_episodes
from likewise.errors import UsageError

DRAW = Draw([7, 9, 6, 8, 12], 3, 2, 4)


def at_every_index(draw, count, seed):
    return (episode_at(draw, index, seed) for index in range(count))


SAMPLERS = [prototypical_episodes, closer_look_episodes, at_every_index]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_classes_and_items_are_drawn_once_each_and_exist(sampler):
    for episode in sampler(DRAW, 30, 3):
        assert episode.support.shape == (3, 2)
        assert episode.query.shape == (3, 4)
        assert len(set(episode.classes)) == 3
        for place, items in zip(episode.classes, np.concatenate([episode.support, episode.query], axis=1), strict=True):
            assert len(set(items)) == 6
            assert 0 <= items.min() <= items.max() < DRAW.sizes[place]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_class_and_every_item_comes_up(sampler):
    seen = {(place, item) for episode in sampler(DRAW, 200, 1) for place, row in zip(episode.classes, episode.query, strict=True) for item in row}
    assert seen == {(place, item) for place, size in enumerate(DRAW.sizes) for item in range(size)}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_seed_alone_says_what_is_drawn(sampler):
    def drawn(seed):
        return [part.tolist() for episode in sampler(DRAW, 4, seed) for part in episode]

    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)


def test_an_episode_by_its_number_needs_none_before_it():
    wanted = episode_at(DRAW, 7, 2)
    for index in (0, 3):
        episode_at(DRAW, index, 2)
    assert all(np.array_equal(one, two) for one, two in zip(wanted, episode_at(DRAW, 7, 2), strict=True))
    firsts = [episode_at(DRAW, index, 2).support.tolist() for index in range(5)]
    assert all(one != two for one, two in itertools.combinations(firsts, 2))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("change", "word"),
    [({"n_way": 6}, "6 of 5 classes"), ({"n_way": 0}, "0 of 5"), ({"n_query": 5}, "classes 2 have fewer than 7 items"), ({"n_shot": -1}, "-1 supports")],
)
def test_what_cannot_be_drawn_is_refused(sampler, change, word):
    with pytest.raises(UsageError, match=word):
        list(sampler(DRAW._replace(**change), 2, 0))
