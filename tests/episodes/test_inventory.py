"""What of a benchmark's data is in a folder."""

import numpy as np
import pytest
from PIL import Image

from likewise.episodes.inventory import take_stock
from likewise.errors import InputError, UsageError


def test_the_published_lists_alone_leave_pictures_and_masks_missing(shared):
    lists, pictures, masks = take_stock("pascal-5i", shared / "benchmarks")
    assert (lists.complete, lists.there) == (True, 8)
    assert (pictures.there, pictures.needed) == (0, 11_473)
    assert pictures.missing[0].startswith("JPEGImages/2007_")
    assert "host.robots.ox.ac.uk" in pictures.source
    assert masks.missing[0].endswith(".png")


def test_without_lists_it_says_where_they_are_and_that_nothing_else_can_be_told(tmp_path):
    lists, pictures, _ = take_stock("coco-20i", tmp_path)
    assert (lists.there, lists.needed) == (0, 8)
    assert "no lists of folds" in lists.remark
    assert "github.com/dahyun-kang/cst" in lists.source
    assert not pictures.complete
    assert "without lists" in pictures.remark


def test_lists_that_are_not_the_published_ones_are_told(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "fold2.txt").write_text("2007_000001__11")
    lists = take_stock("pascal-5i", tmp_path)[0]
    assert lists.there == 0
    assert "val, fold 2" in lists.missing


def test_files_that_are_there_are_counted(shared, tmp_path):
    (tmp_path / "pascal-5i").symlink_to(shared / "benchmarks" / "pascal-5i")
    (tmp_path / "JPEGImages").mkdir()
    for name in ("2007_000032", "2007_000033", "stranger"):
        (tmp_path / "JPEGImages" / f"{name}.jpg").touch()
    assert take_stock("pascal-5i", tmp_path)[1].there == 2


def test_fss_1000_is_counted_by_class_and_picture(tmp_path):
    (tmp_path / "yurt").mkdir()
    for index in (1, 2):
        (tmp_path / "yurt" / f"{index}.jpg").touch()
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "yurt" / "1.png")
    classes, pictures, masks = take_stock("fss-1000", tmp_path)
    assert (classes.there, classes.needed, pictures.there, masks.there) == (1, 1000, 2, 1)
    assert masks.missing == ("yurt/2.png",)


def test_names_and_folders_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'coco-20i'"):
        take_stock("coco20", tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        take_stock("fss-1000", tmp_path / "nowhere")
