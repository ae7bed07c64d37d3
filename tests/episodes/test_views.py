"""Class-agnostic episodes: views of pictures."""

import numpy as np
import pytest
from benchmarks_made import labelled_folder

from likewise.episodes.benchmark import episodes_of
from likewise.episodes.labelled import LabelledBenchmark
from likewise.episodes.views import ViewsBenchmark
from likewise.errors import UsageError


@pytest.fixture
def views(tmp_path):
    folder = labelled_folder(tmp_path / "set", {1: 5}, split={"train": ["c1-0", "c1-1", "c1-3"], "val": ["c1-2", "c1-4"]})
    return ViewsBenchmark(LabelledBenchmark.open(folder), views=3)


def test_every_picture_is_a_class_whose_images_are_its_views(views):
    assert [views.class_names[number] for number in views.images("train", 0).by_class] == ["c1-0", "c1-1", "c1-3"]
    assert views.images("val", 0).by_class[3] == ["c1-2@0", "c1-2@1", "c1-2@2"]


def test_a_view_is_the_same_whenever_it_is_asked_for_and_fits_its_labels(views):
    for name in ("c1-2@1", "c1-4@2"):
        image, labels = views.image(name), views.labels(name)
        assert np.array_equal(image, views.image(name))
        assert image.shape[:2] == labels.shape


def test_labels_move_with_the_picture(views):
    for number, names in views.images("train", 0).by_class.items():
        for name in names:
            image, labels = views.image(name).astype(int), views.labels(name)
            redness = image[:, :, 0] - image[:, :, 1:].max(axis=2)
            assert (labels == number).sum() >= 0.6 * 14 * 14
            assert redness[labels == number].mean() > 40 + redness[labels == 0].mean()


def test_views_differ_in_light_and_crop_and_view_zero_is_the_picture(views):
    assert np.array_equal(views.image("c1-0@0"), views._pictures.image("c1-0"))
    shapes = {views.image(f"c1-{picture}@{view}").shape for picture in (0, 1, 3) for view in (1, 2)}
    assert len(shapes) >= 5


def test_query_and_support_of_an_episode_are_different_views(views):
    for episode in episodes_of(views, "train", frame="fss", count=30):
        assert episode.query != episode.supports[0][0]
        assert episode.query.split("@")[0] == episode.supports[0][0].split("@")[0]


def test_views_know_the_classes_of_their_pictures(tmp_path):
    found = ViewsBenchmark(LabelledBenchmark.open(labelled_folder(tmp_path / "classes", {1: 2, 2: 3}, {"both": {1: (2, 3), 2: (20, 30)}})))
    assert found.classes_in(["c2-1@0", "c2-0@3"]) == ["class-2"]
    assert found.classes_in(["both@1"]) == ["class-1", "class-2"]


def test_one_view_is_not_enough(views):
    with pytest.raises(UsageError, match="two at least"):
        ViewsBenchmark(views._pictures, views=1)


def test_splits_of_classes_choose_the_pictures_of_these_classes(tmp_path):
    folder = labelled_folder(tmp_path / "classes", {1: 2, 2: 3}, split={"train": ["class-2"], "val": ["class-1"]})
    found = ViewsBenchmark(LabelledBenchmark.open(folder))
    assert [[found.class_names[number] for number in found.images(part, 0).by_class] for part in ("train", "val")] == [
        ["c2-0", "c2-1", "c2-2"],
        ["c1-0", "c1-1"],
    ]
