"""Lists narrowed by the share of the picture that a class takes."""

import numpy as np
import pytest
from benchmarks_made import write_pair

from likewise.episodes.evaluation import Setting, drawn
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.object_sizes import narrowed, parsed_range
from likewise.episodes.running import name_of
from likewise.errors import InputError, UsageError

SHARES = {"a": (1, 4, 5, 6, 12), "b": (3, 7, 9, 30), "c": (50, 60)}  # per cent of pictures of 10 x 10


@pytest.fixture
def data(tmp_path):
    """Pictures of one class each, and one that shows class a at 6 and class b at 2 per cent."""

    def picture(name, counts):
        labels = np.zeros(100, np.uint8)
        start = 0
        for number, count in counts.items():
            labels[start : start + count] = number
            start += count
        labels = labels.reshape(10, 10)
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "masks" / f"{name}.png", np.zeros((10, 10, 3), np.uint8), labels)

    for number, (name, shares) in enumerate(SHARES.items(), start=1):
        for share in shares:
            picture(f"{name}{share}", {number: share})
    picture("both", {1: 6, 2: 2})
    (tmp_path / "dataset.json").write_text('{"classes": {"1": "a", "2": "b", "3": "c"}, "ignore": 255}')
    return LabelledBenchmark.open(tmp_path, folds=1)


def test_images_are_kept_above_the_lower_and_up_to_the_upper_bound_class_by_class(data):
    found = narrowed(data, "test", 0, "0-5", 1)
    assert {number: sorted(names) for number, names in found.by_class.items()} == {1: ["a1", "a4", "a5"], 2: ["b3", "both"]}
    assert {number: sorted(names) for number, names in narrowed(data, "test", 0, "5-10", 1).by_class.items()} == {1: ["a6", "both"], 2: ["b7", "b9"]}


def test_ranges_side_by_side_share_no_image_of_a_class(data):
    lists = [narrowed(data, "test", 0, text, 0) for text in ("0-5", "5-10", "10-15", "15-100")]
    lines = [line for found in lists for line in found.queries]
    assert len(lines) == len(set(lines)) == sum(map(len, SHARES.values())) + 2


def test_classes_with_too_few_images_are_left_out(data):
    assert set(narrowed(data, "test", 0, "0-100", 2).by_class) == {1, 2}
    assert set(narrowed(data, "test", 0, "0-5", 2).by_class) == {1}
    with pytest.raises(InputError, match="0-1 per cent of more than 1"):
        narrowed(data, "test", 0, "0-1", 1)


def test_every_image_is_a_query_once_in_a_round_and_the_supports_are_of_the_size_too(data):
    episodes = list(drawn(data, Setting(episodes=10, object_size="0-5", empty=False)))
    lines = narrowed(data, "test", 0, "0-5", 1).queries
    assert sorted((episode.query, episode.classes[0]) for episode in episodes) == sorted([*lines, *lines])
    assert [episode.query for episode in episodes[:5]] == [name for name, _ in lines]
    of_size = set(lines)
    assert all((name, episode.classes[0]) in of_size for episode in episodes for name in episode.supports[0])


def test_the_range_is_in_the_name_and_in_the_record(data):
    setting = Setting(object_size="0-5", empty=False)
    assert name_of(setting) == "test-fscs-1way-1shot-mask-size0-5-noempty"
    assert setting.facts()["object_size"] == "0-5"
    assert "object_size" not in Setting().facts()


@pytest.mark.parametrize("text", ["5", "5-5", "10-5", "0-101", "-5", "a-b", "0-5-10"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UsageError, match="no range of sizes"):
        parsed_range(text)
    with pytest.raises(UsageError, match="no range of sizes"):
        Setting(object_size=text)


def test_n_way_episodes_have_no_sizes():
    with pytest.raises(UsageError, match="nway"):
        Setting(frame="nway", way=2, object_size="0-5")
