"""N-way episodes: the rules of ours, and that the published sequence is the one of the code."""

import json
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from likewise.episodes.benchmark import Episodes
from likewise.episodes.lists import ImageList
from likewise.episodes.nway_sampling import RERUNS, nway_episode, published_run
from likewise.episodes.prompted.annotations import annotated, held_out
from likewise.episodes.prompted.sampling import validation_episode
from likewise.episodes.prompted.simulation import Chance, simulated
from likewise.errors import InputError


def images(seed, classes=6, pictures=25):
    """Pictures that show one to three classes each, classes numbered with gaps."""
    shown = np.random.default_rng(seed).random((pictures, classes)) < 0.35
    return ImageList({3 * number + 2: [f"p{index}" for index in np.flatnonzero(shown[:, number])] for number in range(classes) if shown[:, number].any()})


@given(st.integers(0, 500), st.integers(1, 4), st.integers(1, 2))
def test_all_images_of_an_episode_differ_and_show_what_they_stand_for(seed, ways, shots):
    listed = images(seed)
    try:
        episode = nway_episode(listed, ways, shots, random.Random(seed))
    except InputError:
        assume(False)
    assert episode.classes == tuple(sorted(set(episode.classes)))
    assert len(episode.classes) == ways
    every = [episode.query, *(name for names in episode.supports for name in names)]
    assert len(set(every)) == len(every) == 1 + ways * shots
    assert any(episode.query in listed.by_class[number] for number in episode.classes)
    for number, names in zip(episode.classes, episode.supports, strict=True):
        assert set(names) <= set(listed.by_class[number])


def test_a_draw_that_leaves_a_class_without_images_is_drawn_again():
    listed = ImageList({1: ["a", "b"], 2: ["a", "b", "c"], 3: ["b", "c", "d"]})
    found = {nway_episode(listed, 3, 1, random.Random(seed)) for seed in range(60)}
    assert len(found) > 3


def test_an_episode_depends_on_its_place_and_the_seed_alone():
    one, other = (Episodes(images(3), "test", (1, 1), 9, seed, "nway") for seed in (1, 2))
    assert one[5] == Episodes(images(3), "test", (1, 1), 7, 1, "nway")[5]
    assert [one[place] for place in range(9)] != [other[place] for place in range(9)]
    assert len({one[place] for place in range(9)}) > 4


class TestPublished:
    def test_the_five_reruns_are_dealt_out_in_turn_so_that_a_longer_run_follows_a_shorter_one(self):
        listed = images(4)
        short, long = (Episodes(listed, "test", (1, 1), length, 0, "nway", True) for length in (2, 3))
        assert (len(short), short.runs) == (10, RERUNS)
        assert [long[place] for place in range(10)] == [short[place] for place in range(10)]
        assert [short[place] for place in (1, 6)] == published_run(listed, 2, 1, 43, 2)
        assert len(Episodes(listed, "test", (1, 1), 4, 43, "nway", True)) == 4  # a seed that is named is one run

    def test_a_run_is_what_sampling_and_drawing_types_of_prompts_make_of_one_generator(self, shared):
        content = json.loads((shared / "golden" / "la_coco_tiny.json").read_text())
        data = annotated(content, held_out([each["id"] for each in content["categories"]], 1))
        counts = {f"{image}": {number: sum(each.category == number for each in own) for number in data.of(image)} for image, own in data.annotations.items()}
        listed = ImageList({number: [f"{image}" for image in walked] for number, walked in data.walked.items()}, objects=counts)
        chance = Chance.seeded(42)
        for found in published_run(listed, 2, 1, 42, 4):
            wanted = validation_episode(data, 2, 1, chance.python)
            assert (found.query, found.classes) == (f"{wanted.query}", tuple(sorted(wanted.drawn_for)))
            assert sorted(name for names in found.supports for name in names) == sorted(f"{image}" for image in wanted.support)
            for image in wanted.images:
                simulated(data.annotations[image], found.classes, data.sizes[image], ("mask",), chance, noisy=False)

    def test_a_query_may_be_among_its_supports(self):
        listed = ImageList({1: ["a", "b"], 2: ["a", "b"]})
        assert any(episode.query in episode.supports[0] + episode.supports[1] for episode in published_run(listed, 2, 1, 42, 20))


def test_classes_that_share_all_their_images_are_an_error_that_says_what_helps():
    listed = ImageList({1: ["a", "b"], 2: ["a", "b"]})
    with pytest.raises(InputError, match="no 2 classes have a query and 1 supports each") as caught:
        nway_episode(listed, 2, 1, random.Random(0))
    assert "--least" in caught.value.remedy
