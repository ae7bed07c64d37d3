"""Crops by class: boxes of parts of masks, squares within pictures, and the digits of scikit-learn."""

import numpy as np


def test_boxes_are_those_of_connected_parts_largest_first_and_small_ones_are_left_out(bench):
    mask = np.zeros((40, 50), bool)
    mask[2:8, 3:20] = True  # 102 pixels
    mask[20:36, 25:45] = True  # 320 pixels
    mask[8, 20] = True  # touches the first at a corner
    mask[10:13, 40:43] = True  # too small
    found = bench("crop_classes").boxes(mask, 5, small=4)
    assert found == [(20, 25, 36, 45), (2, 3, 9, 21)]
    assert bench("crop_classes").boxes(mask, 1, small=4) == found[:1]


def test_an_empty_mask_has_no_boxes(bench):
    assert bench("crop_classes").boxes(np.zeros((5, 7), bool), 3) == []


def test_a_crop_is_a_square_around_its_box_where_the_picture_reaches(bench):
    module, rng = bench("crop_classes"), np.random.default_rng(0)
    for _ in range(300):
        height, width = rng.integers(20, 90, 2).tolist()
        top, left = int(rng.integers(height - 1)), int(rng.integers(width - 1))
        box = module.Box(top, left, int(rng.integers(top + 1, height + 1)), int(rng.integers(left + 1, width + 1)))
        cut = module.squared(box, height, width, margin=0.2)
        side = round(1.4 * max(box.bottom - box.top, box.right - box.left))
        assert (cut.bottom - cut.top, cut.right - cut.left) == (min(side, height), min(side, width))
        assert 0 <= cut.top <= box.top
        assert box.bottom <= cut.bottom <= height
        assert 0 <= cut.left <= box.left
        assert box.right <= cut.right <= width


def test_digits_are_dark_on_bright_and_of_their_class(bench):
    from sklearn.datasets import load_digits

    module = bench("crop_classes")
    found = module.digits()
    assert sorted(found) == [str(number) for number in range(10)]
    data = load_digits()
    first = data.images[np.flatnonzero(data.target == 7)[0]]
    small = np.asarray(found["7"][0], np.float64)[..., 0].reshape(8, 4, 8, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), first.ravel())[0, 1] < -0.9


def test_a_family_is_made_once_and_holds_no_class_with_too_few(bench, shared, tmp_path, monkeypatch):
    module = bench("crop_classes")
    monkeypatch.setattr(module, "OUT", tmp_path)
    folder = module.made("surfaces")
    counts = {path.name: len(list(path.glob("*.png"))) for path in folder.iterdir() if path.is_dir()}
    assert counts
    assert all(module.LEAST <= count <= module.MOST for count in counts.values())
    changed = next(folder.glob("*/000.png"))
    changed.write_bytes(b"")
    assert module.made("surfaces") == folder
    assert changed.read_bytes() == b""


def test_a_class_that_caltech_has_is_no_thing(bench, shared):
    module = bench("crop_classes")
    assert "chair" in module.FAMILIES["things"].apart
    family = module.Family(("objects",), 1, ("chair",))
    assert module.crops_of(family) == {}  # of the others there are six pictures a class
