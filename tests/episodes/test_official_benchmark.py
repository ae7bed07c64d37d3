"""The published benchmarks in their folders, and FSS-1000's: what is read from where, and what is missing."""

import numpy as np
import pytest
from benchmarks_made import pascal_folder, picture, write_pair
from PIL import Image

from likewise.episodes.benchmark import episodes_of
from likewise.episodes.evaluation import Setting, drawn
from likewise.episodes.fss import FssBenchmark
from likewise.episodes.official import OfficialBenchmark
from likewise.errors import InputError


def own(root):
    return OfficialBenchmark("pascal-5i", root, own_lists=True)


def test_lists_and_data_are_found_by_their_usual_names(tmp_path):
    pascal_folder(tmp_path / "made")
    (tmp_path / "root" / "splits").mkdir(parents=True)
    (tmp_path / "root" / "splits" / "pascal").symlink_to(tmp_path / "made")
    (tmp_path / "root" / "VOC2012").symlink_to(tmp_path / "made")
    found = own(tmp_path / "root")
    name = found.images("val", 0).by_class[3][1]
    assert found.image(name).shape[:2] == found.labels(name).shape == (38, 53)
    assert set(found.labels(name).ravel().tolist()) == {0, 3}


def test_the_published_lists_are_asked_for_unless_own_ones_are_allowed(tmp_path):
    pascal_folder(tmp_path)
    with pytest.raises(InputError, match="not the official list"):
        OfficialBenchmark("pascal-5i", tmp_path).images("test", 0)
    with pytest.raises(InputError, match="no lists of folds"):
        own(tmp_path / "nowhere").images("test", 0)


@pytest.mark.parametrize("what", ["JPEGImages/2007_000302.jpg", "SegmentationClassAug/2007_000302.png"])
def test_an_image_or_mask_that_is_missing_is_named_before_anything_is_learned(tmp_path, what):
    pascal_folder(tmp_path)
    drawn(own(tmp_path), Setting(episodes=40))
    (tmp_path / what).unlink()
    with pytest.raises(InputError, match="not there") as caught:
        drawn(own(tmp_path), Setting(episodes=40))
    assert caught.value.where == str(tmp_path / what)


def test_a_mask_of_another_size_is_named_before_anything_is_learned(tmp_path):
    pascal_folder(tmp_path)
    Image.fromarray(np.full((38, 50), 2, np.uint8)).save(tmp_path / "SegmentationClassAug" / "2007_000201.png")
    with pytest.raises(InputError, match="the mask is 50x38, its image 53x38"):
        drawn(own(tmp_path), Setting(episodes=40))


def test_a_class_with_one_image_cannot_give_five_shots(tmp_path):
    pascal_folder(tmp_path, images=1)
    with pytest.raises(InputError, match="'aeroplane' has 1 images: a query and 5 shots need 6"):
        episodes_of(own(tmp_path), "test", 0, shot=5)


def fss_folder(root, classes=("ab_wheel", "abacus", "yurt"), count=3):
    for seed, name in enumerate(classes):
        for index in range(1, count + 1):
            pixels, labels = picture(10 * seed + index, {1: (3, 4 + seed)})
            write_pair(root / name / f"{index}.jpg", root / name / f"{index}.png", pixels, np.repeat(labels[:, :, None] * np.uint8(255), 3, axis=2))
    return root


def test_fss_1000_is_read_from_folders_of_classes(tmp_path):
    found = FssBenchmark(fss_folder(tmp_path / "fewshot_data").parent)
    images = found.images("test", 0)
    assert [found.class_names[number] for number in images.by_class] == ["ab_wheel", "abacus", "yurt"]
    assert images.by_class[2] == ["abacus/1", "abacus/2", "abacus/3"]
    labels = found.labels("yurt/2")
    assert set(labels.ravel().tolist()) == {0, 3}
    assert (labels == 3).sum() == 14 * 14
    found.check(["yurt/2"])
    (tmp_path / "fewshot_data" / "yurt" / "2.png").unlink()
    with pytest.raises(InputError, match="not there"):
        found.check(["yurt/2"])


def test_the_lists_of_fss_1000_make_its_parts(tmp_path):
    fss_folder(tmp_path)
    (tmp_path / "fss_test_set.txt").write_text("yurt\n")
    assert [tuple(FssBenchmark(tmp_path).images(part, 0).by_class) for part in ("train", "val", "test")] == [(1, 2), (3,), (3,)]
    for name, listed in (("trn", "abacus"), ("val", "yurt"), ("test", "ab_wheel")):
        (tmp_path / f"{name}.txt").write_text(listed)
    assert [tuple(FssBenchmark(tmp_path).images(part, 0).by_class) for part in ("train", "val", "test")] == [(2,), (3,), (1,)]
    (tmp_path / "test.txt").write_text("yurts")
    with pytest.raises(InputError, match="without a folder"):
        FssBenchmark(tmp_path)


def test_no_class_of_a_thousand_has_the_number_of_void(tmp_path):
    for index in range(300):
        (tmp_path / f"c{index:03d}").mkdir()
        (tmp_path / f"c{index:03d}" / "1.jpg").touch()
    numbers = list(FssBenchmark(tmp_path).class_names)
    assert (len(numbers), numbers[-1], 255 in numbers) == (300, 301, False)


def test_training_reads_the_published_lists_of_the_base_classes(shared):
    found = OfficialBenchmark("pascal-5i", shared / "benchmarks")
    assert found.images("train", 1).length == 10255
    assert 6 not in found.images("train", 1).by_class
    assert tuple(found.images("val", 1).by_class) == tuple(found.images("test", 1).by_class) == (6, 7, 8, 9, 10)
