"""Dense episodes: what is drawn, and the maps of it."""

import numpy as np
import pytest
import torch
from benchmarks_made import labelled_folder
from PIL import Image

from likewise.data.geometry import squash_image
from likewise.episodes.dense import FIELD, MASK, DenseChannel, DenseEpisode, DenseEpisodes, DenseTarget, PictureFolder, TargetMaps, dense_maps, open_pictures
from likewise.episodes.lists import ImageList
from likewise.errors import InputError, UsageError
from likewise.functional.picture_targets import PICTURE_TARGETS, colour

NAMES = [f"p{index}" for index in range(9)]
LISTED = ImageList({1: NAMES[:5], 2: NAMES[4:], 3: NAMES[:2]})


def episodes(**changes):
    given = {"images": LISTED, "families": (MASK, "texture", "corners"), "shot": 3, "query": 2, "length": 200, "seed": 7}
    return DenseEpisodes(**{**given, **changes})


class Made:
    """Pictures by name: each its own noise, a class in the middle, a strip of unknown labels above."""

    def image(self, name):
        return np.random.default_rng(int(name[1:])).integers(0, 256, (30, 44, 3), np.uint8)

    def labels(self, name):
        found = np.zeros((30, 44), np.uint8)
        found[10:20, 11:33] = 2
        found[:3] = 255
        return found


def test_an_episode_depends_on_its_index_and_the_seed_alone():
    one, two = episodes(), episodes(length=300)
    assert [one[index] for index in (3, 150)] == [two[index] for index in (3, 150)]
    assert one[3] != one[4]
    assert one[3] != episodes(seed=8)[3]


def test_support_and_queries_are_different_pictures_that_show_the_class_of_a_mask():
    targets = set()
    for episode in (episodes()[index] for index in range(200)):
        target = episode.channels[0].target
        targets.add(target)
        assert (len(episode.support), len(episode.query), len(set(episode.names))) == (3, 2, 5)
        if target.family == MASK:
            assert set(episode.names) <= set(LISTED.by_class[target.number])
    assert {target.number for target in targets if target.family == MASK} == {1, 2}  # of class 3 there are too few pictures
    assert {target.channel for target in targets if target.family == "texture"} == {0, 1, 2}


def test_families_are_drawn_alike_and_mixed_by_their_chance():
    drawn = [episodes(length=900, mixed=0.3)[index].channels[0] for index in range(900)]
    assert sum(channel.target.family == "texture" for channel in drawn) == pytest.approx(300, abs=60)
    partners = [channel.partner for channel in drawn if channel.partner is not None]
    assert len(partners) == pytest.approx(270, abs=50)
    assert {partner.family for partner in partners} == {"texture", "corners"}


def test_channels_share_pictures_and_class_and_ask_for_masks_only_where_all_pictures_show_one():
    drawn = [episodes(channels=4, families=(MASK, "within", "colour", FIELD))[index] for index in range(200)]
    assert all(len(episode.channels) == 4 for episode in drawn)
    for episode in drawn:
        families = [channel.target.family for channel in episode.channels]
        numbers = {channel.target.number for channel in episode.channels if channel.target.family in (MASK, "within")}
        assert len(numbers) == (families[0] in (MASK, "within"))
        assert all(set(episode.names) <= set(LISTED.by_class[number]) for number in numbers)
    assert any({channel.target.family for channel in episode.channels} >= {MASK, "colour", FIELD} for episode in drawn)
    assert len({channel.target.number for episode in drawn for channel in episode.channels if channel.target.family == FIELD}) > 200
    assert {channel.chance for episode in drawn for channel in episode.channels if channel.target.family == MASK} == {True}
    assert {channel.chance for episode in drawn for channel in episode.channels if channel.target.family != MASK} == {False}


def maps_of(channel, names, side, maps=None):
    """Values and known of one channel."""
    own = maps or TargetMaps(side)
    values, known = dense_maps(DenseEpisode((channel,), names[:1], names[1:]), lambda target, listed: own(Made(), target, listed))
    return values[0], known[0]


def test_a_mask_is_the_class_with_its_unknown_pixels():
    values, known = maps_of(DenseChannel(DenseTarget(MASK, 0, 2)), ("p0", "p1", "p2"), 60)
    assert values.shape == known.shape == (3, 60, 60)
    assert values[1, 30, 30] == 1
    assert values[1, 30, 5] == 0
    assert not known[:, :6].any()
    assert known[:, 6:].all()


def test_a_made_target_is_that_of_the_squashed_picture_in_254_steps():
    values, known = maps_of(DenseChannel(DenseTarget("colour", 1)), ("p3", "p4"), 28)
    picture = torch.from_numpy(squash_image(Made().image("p4"), (28, 28)).copy()).movedim(-1, 0)[None].float() / 255
    torch.testing.assert_close(values[1], colour(picture)[0][0, 1], atol=0.51 / 254, rtol=0)
    assert known.all()


def test_maps_of_other_classes_pictures_and_folders_are_kept_apart():
    maps, one, two = TargetMaps(30), Made(), Made()
    two.labels = lambda name: np.full((30, 44), 2, np.uint8)
    assert maps(one, DenseTarget(MASK, 0, 2), ("p0",)).label.any()
    assert not maps(one, DenseTarget(MASK, 0, 1), ("p0",)).label.any()
    assert maps(two, DenseTarget(MASK, 0, 2), ("p0",)).label.all()
    first, second = (maps(one, DenseTarget("colour", 0), (name,)).label for name in ("p0", "p1"))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("family", ["orientation", "within"])
def test_a_map_that_was_kept_is_the_one_that_is_made_anew(family):
    kept, calls = TargetMaps(42), []

    class Counted(Made):
        def image(self, name):
            calls.append(name)
            return super().image(name)

        def labels(self, name):
            calls.append(name)
            return super().labels(name)

    pictures, target = Counted(), DenseTarget(family, 1, 2 if family == "within" else 0)
    first = kept(pictures, target, ("p0", "p1"))
    again = kept(pictures, target, ("p1", "p0"))
    assert sorted(calls) == ["p0", "p1"]
    fresh = TargetMaps(42)(Made(), target, ("p1", "p0"))
    for one, two, three in ((again.label, fresh.label, first.label), (again.known, fresh.known, first.known)):
        assert torch.equal(one, two)
        assert torch.equal(one.flip(0), three)
    assert (float(again.known.mean()) < 1) == (family == "within")


def test_an_altered_target_is_altered_alike_in_all_pictures_of_the_episode_and_stays_in_0_to_1():
    changed, maps = 0, TargetMaps(42)
    for seed in range(12):
        plain = maps_of(DenseChannel(DenseTarget("colour", 0)), ("p0", "p1", "p2"), 42, maps)[0]
        altered = maps_of(DenseChannel(DenseTarget("colour", 0), altered=seed), ("p0", "p1", "p2"), 42, maps)[0]
        again = maps_of(DenseChannel(DenseTarget("colour", 0), altered=seed), ("p0", "p1", "p2"), 42, maps)[0]
        assert torch.equal(altered, again)
        assert 0 <= float(altered.min()) <= float(altered.max()) <= 1
        assert altered.max() == 1  # stretched over all pictures together
        changed += not torch.equal(plain, altered)
    assert changed > 8


def test_a_mixed_target_lies_between_both_and_is_known_where_both_are():
    names, mask, texture = ("p0", "p1"), DenseTarget(MASK, 0, 2), DenseTarget("texture", 0)
    one, known = maps_of(DenseChannel(mask), names, 60)
    two, _ = maps_of(DenseChannel(texture), names, 60)
    mixed, both = maps_of(DenseChannel(mask, texture), names, 60)
    torch.testing.assert_close(mixed, (one + two) / 2 * known)
    assert torch.equal(both, known)


def test_a_folder_of_pictures_needs_no_labels_and_gives_no_masks(tmp_path):
    (tmp_path / "deep").mkdir()
    for index in range(4):
        Image.fromarray(Made().image(f"p{index}")).save(tmp_path / "deep" / f"p{index}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    opened = open_pictures(f"pictures:{tmp_path}")
    listed = opened.images("val", 0)
    assert [name for names in listed.by_class.values() for name in names] == [f"deep/p{index}.png" for index in range(4)]
    drawn = episodes(images=listed, families=tuple(PICTURE_TARGETS), shot=2, query=2)[5]
    maps = TargetMaps(33)
    values, _ = dense_maps(drawn, lambda target, names: maps(opened, target, names))
    assert values.shape == (1, 4, 33, 33)
    with pytest.raises(InputError, match="no class has masks"):
        episodes(images=listed, shot=1, query=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        PictureFolder(tmp_path / "empty")


def test_labelled_images_are_opened_as_ever(tmp_path):
    opened = open_pictures(str(labelled_folder(tmp_path / "set", {1: 3, 2: 3})))
    assert sorted(opened.class_names) == [1, 2]


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"families": ("txture",)}, UsageError, "did you mean 'texture'"),
        ({"shot": 8}, InputError, "9 pictures, an episode takes 10"),
        ({"shot": 5}, InputError, "no class has masks in 7 pictures"),
    ],
)
def test_what_cannot_be_drawn_is_said(changes, kind, words):
    with pytest.raises(kind, match=words):
        episodes(**changes)


def test_there_are_no_more_episodes_than_its_length():
    with pytest.raises(IndexError):
        episodes()[200]
