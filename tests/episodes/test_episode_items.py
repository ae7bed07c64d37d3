"""An episode as tensors, and pictures from folders."""

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.episodes.folders import CocoFolder, PascalFolder
from likewise.episodes.items import fscs_item
from likewise.episodes.sampling import Episode
from likewise.errors import InputError

SIZES = {"q": (30, 41), "a": (25, 33), "b": (60, 20), "c": (31, 31), "q2": (40, 30)}
EPISODE = Episode("q", (7, 3), (("a", "b"), ("c", "q2")))


class Made:
    """Pictures of different sizes: the left half shows class 7, the right half class 3, the last row is void."""

    def image(self, name):
        height, width = SIZES[name]
        return np.full((height, width, 3), (10 * len(name), 128, 255), np.uint8)

    def labels(self, name):
        height, width = SIZES[name]
        labels = np.full((height, width), 3, np.uint8)
        labels[:, : width // 2] = 7
        labels[-1] = 255
        return labels


@pytest.mark.parametrize("training", [True, False])
def test_labels_are_relative_and_only_of_the_own_class_in_supports(training):
    item = fscs_item(EPISODE, Made(), side=20, training=training)
    size = (20, 20) if training else (30, 41)
    assert item.query_mask.shape == item.query_void.shape == size
    assert item.query_mask[0, 0] == 1
    assert item.query_mask[0, -1] == 2
    assert item.support_masks.shape == (2, 2, 20, 20)
    assert item.support_masks[0, 1, 0].tolist() == [1] * 10 + [0] * 10
    assert item.support_masks[1, 1, 0].tolist() == [0] * 10 + [2] * 10
    assert (item.classes.tolist(), item.present.tolist(), item.size) == ([7, 3], [True, True], (30, 41))


def test_void_is_background_in_masks_and_told_apart():
    item = fscs_item(EPISODE, Made(), side=60)
    assert item.query_mask[-1].max() == 0
    assert item.query_void[-1].min() == 1
    assert item.query_void[:-1].max() == 0
    assert item.support_void[0, 1, -1].min() == 1


def test_presence_is_that_of_the_picture_at_its_own_size():
    class Speck(Made):
        def labels(self, name):
            labels = np.zeros(SIZES[name], np.uint8)
            labels[1, 1] = 3
            return labels

    item = fscs_item(EPISODE, Speck(), side=5, training=True)
    assert item.present.tolist() == [False, True]
    assert item.query_mask.max() == 0


def test_pictures_are_normalised_by_the_figures_of_imagenet():
    item = fscs_item(EPISODE, Made(), side=8)
    assert item.supports.shape == (2, 2, 3, 8, 8)
    expected = (torch.tensor([20, 128, 255]) / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(item.supports[1, 1, :, 3, 4], expected)


def test_a_mask_of_another_size_than_its_picture_is_named():
    class Turned(Made):
        def labels(self, name):
            return super().labels(name).T

    with pytest.raises(InputError, match="q: its mask is 30x41, the image 41x30"):
        fscs_item(EPISODE, Turned(), side=8)


class TestFolders:
    def test_pascal_and_coco_are_found_where_their_authors_put_them(self, tmp_path):
        pixels, labels = np.full((5, 7, 3), 90, np.uint8), np.arange(35, dtype=np.uint8).reshape(5, 7)
        for picture, mask in (("JPEGImages/x.jpg", "SegmentationClassAug/x.png"), ("val2014/y.jpg", "annotations/val2014/y.png")):
            for path, array in ((picture, pixels), (mask, labels)):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(tmp_path / path)
        for folder, name in ((PascalFolder(tmp_path), "x"), (CocoFolder(tmp_path), "val2014/y.jpg")):
            assert folder.image(name).shape == (5, 7, 3)
            assert np.array_equal(folder.labels(name), labels)

    def test_what_the_list_names_and_is_not_there_is_an_error_with_its_path(self, tmp_path):
        with pytest.raises(InputError, match=r"JPEGImages/x\.jpg"):
            PascalFolder(tmp_path).image("x")
        with pytest.raises(InputError, match=r"annotations/val2014/y\.png.*not there"):
            CocoFolder(tmp_path).labels("val2014/y.jpg")

    @pytest.mark.parametrize("content", [b"no png", None])
    def test_a_mask_that_is_damaged_or_coloured_is_refused(self, tmp_path, content):
        path = tmp_path / "SegmentationClassAug/x.png"
        path.parent.mkdir()
        path.write_bytes(content) if content else Image.new("RGB", (4, 3)).save(path)
        with pytest.raises(InputError, match=r"x\.png"):
            PascalFolder(tmp_path).labels("x")
