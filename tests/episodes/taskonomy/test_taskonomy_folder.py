"""A folder of Taskonomy made here: lists, arrays, stock; episodes of it."""

import numpy as np
import pytest
from PIL import Image

from likewise.episodes.inventory import take_stock
from likewise.episodes.taskonomy.folder import TaskonomyFolder
from likewise.episodes.taskonomy.items import OFFICIAL, Switches, task_of, training_item
from likewise.episodes.taskonomy.sampling import halves, training_episode, tuning_positions
from likewise.episodes.taskonomy.supports import support_places
from likewise.episodes.taskonomy.tasks import BUILDINGS, TASKS, held_out_rows
from likewise.errors import InputError, UsageError

PLACES = ("allensville", "beechwood", "coffeen", "cosmos", "muleshoe")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Five buildings with two pictures each, all labels; pictures are no squares."""
    folder, random = tmp_path_factory.mktemp("taskonomy"), np.random.default_rng(0)
    for building in PLACES:
        for view in range(2):
            name = f"{building}_point_3_view_{view}_domain_rgb.png"
            for task in ["rgb", *TASKS]:
                if task == "edge_texture":
                    continue
                label = "rgb" if task == "rgb" else TASKS[task].label
                path = folder / task / name.replace("rgb", label)
                path.parent.mkdir(exist_ok=True)
                colours = task in ("rgb", "normal", "reshading", "principal_curvature")
                if colours or task == "segment_semantic":
                    array = random.integers(0, 255 if colours else 18, (60, 80, 3) if colours else (60, 80)).astype(np.uint8)
                    if task == "normal":
                        array[..., 0] //= 2  # x looks to one side, so that mirroring it shows
                else:
                    array = random.integers(500, 60000, (60, 80)).astype(np.uint16)
                Image.fromarray(array).save(path)
    return folder


def test_pictures_are_listed_by_building_and_part(root):
    folder = TaskonomyFolder(root)
    assert list(folder.images) == list(PLACES)
    assert list(folder.of_part("test")) == ["muleshoe"]
    assert len(folder.sorted_images(("train",))) == 8
    assert folder.sorted_images()[0] == "allensville_point_3_view_0_domain_rgb.png"


def test_arrays_are_256_square_keep_classes_whole_and_depths_wide(root):
    folder = TaskonomyFolder(root)
    name = folder.sorted_images()[0]
    found = folder.stored(name, ["segment_semantic", "edge_occlusion", "normal"])
    assert {key: array.shape for key, array in found.items()} == {
        "rgb": (1, 256, 256, 3),
        "segment_semantic": (1, 256, 256),
        "edge_occlusion": (1, 256, 256),
        "depth_euclidean": (1, 256, 256),
        "normal": (1, 256, 256, 3),
    }
    raw = np.asarray(Image.open(folder.label_path(name, TASKS["segment_semantic"])))
    assert set(np.unique(found["segment_semantic"])) <= set(np.unique(raw))
    assert found["depth_euclidean"].max() > 30000
    assert "depth_euclidean" not in folder.stored(name, ["edge_texture", "normal"])


def test_stock_counts_buildings_and_labels_and_names_what_is_missing(root, tmp_path):
    stock = {item.what: item for item in take_stock("taskonomy", root)}
    assert (stock["buildings, train"].there, stock["buildings, train"].needed) == (4, 25)
    assert "published 274,880" in stock["buildings, train"].remark
    assert stock["labels, normal"].complete
    assert "labels, edge_texture" not in stock
    (pictures,) = take_stock("taskonomy", tmp_path)
    assert not pictures.complete
    assert "no folder of pictures" in pictures.remark


def test_a_label_that_is_gone_is_counted_and_a_broken_one_is_an_error_that_names_it(root, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    folder = TaskonomyFolder(copy)
    name = folder.sorted_images()[1]
    folder.label_path(name, TASKS["reshading"]).unlink()
    stock = {item.what: item for item in take_stock("taskonomy", copy)}["labels, reshading"]
    assert (stock.there, stock.needed) == (9, 10)
    assert stock.missing == ("reshading/" + name.replace("rgb", "reshading"),)
    folder.label_path(name, TASKS["normal"]).write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be read") as error:
        folder.stored(name, ["normal"])
    assert "normal" in error.value.where


def test_an_episode_takes_four_buildings_and_no_channel_that_its_fold_holds_out(root):
    images = TaskonomyFolder(root).of_part("train")
    for fold in range(5):
        for seed in range(6):
            episode = training_episode(images, fold, np.random.RandomState(seed))
            assert len(set(episode.channels)) == 5
            assert not set(episode.channels) & set(held_out_rows(fold))
            assert len({*episode.support, *episode.query}) == 8
            assert not {name.split("_")[0] for name in episode.support} & {name.split("_")[0] for name in episode.query}
    with pytest.raises(InputError, match="3 buildings"):
        training_episode({name: images[name] for name in PLACES[:3]}, 0, np.random.RandomState(0))


@pytest.mark.parametrize("switches", [Switches(), OFFICIAL, Switches(flips="none", unary=False, binary="none")], ids=["plain", "official", "bare"])
def test_an_item_is_a_function_of_its_seed_and_has_labels_in_0_to_1(root, switches):
    folder = TaskonomyFolder(root)
    episode = training_episode(folder.of_part("train"), 0, np.random.RandomState(4))
    one, two = (training_item(episode, folder, 0, np.random.RandomState(2), switches) for _ in range(2))
    assert one.images.shape == (5, 8, 3, 224, 224)
    assert one.labels.shape == one.known.shape == (5, 8, 224, 224)
    assert 0 <= float(one.labels.min()) <= float(one.labels.max()) <= 1
    assert set(one.known.unique().tolist()) <= {0, 1}
    assert all((getattr(one, name) == getattr(two, name)).all() for name in ("images", "labels", "known"))


def test_flips_are_one_an_episode_or_one_a_channel_and_normals_turn_with_them(root):
    folder = TaskonomyFolder(root)
    from likewise.episodes.taskonomy.sampling import TrainingEpisode

    names = folder.sorted_images()
    episode = TrainingEpisode((28, 29, 17, 26, 33), tuple(names[:2]), tuple(names[2:4]))
    plain = {
        kind: [training_item(episode, folder, 0, np.random.RandomState(seed), Switches(flips=kind, unary=False, binary="none")) for seed in range(12)]
        for kind in ("episode", "channel")
    }
    assert all((item.images == item.images[:1]).all() for item in plain["episode"])
    assert any((item.images != item.images[:1]).any() for item in plain["channel"])
    still = training_item(episode, folder, 0, np.random.RandomState(0), Switches(flips="none", unary=False, binary="none"))
    assert still.channels == episode.channels
    flipped = 0
    for seed, item in enumerate(plain["episode"]):
        bare = training_item(episode, folder, 0, np.random.RandomState(seed), Switches(flips="none", unary=False, binary="none"))
        if (item.images == bare.images).all():
            continue
        flipped += 1
        # both were cut at one place, mirrored or not: 192 columns in the middle, at least, are in both
        x, y = (np.sort(item.labels[place, :, :, 32:-32].flatten().numpy()) for place in (0, 1))
        own_x, own_y = (np.sort(bare.labels[place, :, :, 32:-32].flatten().numpy()) for place in (0, 1))
        assert abs(np.mean(x) - np.mean(1 - own_x)) < abs(np.mean(x) - np.mean(own_x))
        assert abs(np.mean(y) - np.mean(own_y)) < 0.05
    assert 2 <= flipped <= 10


def test_a_row_is_a_task_and_a_channel():
    assert [(task_of(row)[0].name, task_of(row)[1]) for row in (0, 11, 12, 33)] == [
        ("segment_semantic", 0),
        ("segment_semantic", 11),
        ("depth_euclidean", 0),
        ("principal_curvature", 1),
    ]


def test_official_fine_tuning_sees_19_images_of_ten_and_ours_sees_ten():
    assert len({place for item in range(40) for place in tuning_positions(item, 10, official=True)}) == 19
    assert all(sorted(tuning_positions(item, 10)) == list(range(10)) for item in range(40))
    assert halves([4, 2, 9]) == ([4, 2], [9])


def test_published_supports_are_ten_images_a_class():
    assert len(support_places()) == 10
    assert {len(support_places(number)) for number in (2, 9, 16)} == {10}
    with pytest.raises(UsageError, match="class 7"):
        support_places(7)
    assert sum(len(part) for part in BUILDINGS.values()) == 35
