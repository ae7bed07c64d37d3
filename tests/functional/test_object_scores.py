"""Objects against true ones, held against COCO's own evaluation."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as codes
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from likewise.data.instance import Instance, overlaps
from likewise.functional.object_scores import LEVELS, average_precision, level, matched, panoptic_quality

SIZE = (60, 80)


def squares(random, count):
    """Squares that do not lie over each other, some moved a little from a raster."""
    places = random.permutation(12)[:count]
    return [Instance(np.ones((int(random.integers(6, 15)), int(random.integers(6, 15))), bool), 20 * (int(p) % 4), 20 * (int(p) // 4)) for p in places]


def moved(one, random):
    return Instance(one.patch, one.x + int(random.integers(0, 5)), one.y + int(random.integers(0, 5)))


def numbered(objects):
    found = np.zeros(SIZE, np.int32)
    for number, one in enumerate(objects, start=1):
        one.mark(found, number)
    return found


def coded(one):
    return codes.encode(np.asfortranarray(one.mask(SIZE).astype(np.uint8)))


def coco_ap50(truths, answers):
    """What pycocotools says of lists of true objects and of (object, score) by image."""
    images = [{"id": index, "height": SIZE[0], "width": SIZE[1]} for index in range(len(truths))]
    drawn = [
        {"id": number, "image_id": image, "category_id": 1, "segmentation": coded(one), "area": one.area, "iscrowd": 0, "bbox": [0, 0, 1, 1]}
        for number, (image, one) in enumerate(((image, one) for image, listed in enumerate(truths) for one in listed), start=1)
    ]
    said = [{"image_id": image, "category_id": 1, "segmentation": coded(one), "score": score} for image, listed in enumerate(answers) for one, score in listed]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": drawn, "categories": [{"id": 1, "name": "square"}]}
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(said), "segm")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats[1]


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_coco(seed):
    random = np.random.default_rng(seed)
    scores = iter((random.permutation(LEVELS) / LEVELS).tolist())
    truths = [squares(random, int(random.integers(3, 9))) for _ in range(4)]
    found = [[*(moved(one, random) for one in listed[1:]), *squares(random, 2)] for listed in truths]
    answers = [[(one, next(scores)) for one in listed] for listed in found]
    right, wrong = np.zeros(LEVELS + 1, np.int64), np.zeros(LEVELS + 1, np.int64)
    for listed, said in zip(truths, answers, strict=True):
        overlap = np.array([[iou(one, true) for true in listed] for one, _ in said])
        given = np.array([score for _, score in said])
        for score, taken in zip(given, matched(overlap, given), strict=True):
            (right if taken >= 0 else wrong)[level(score)] += 1
    assert average_precision(right, wrong, sum(map(len, truths))) == pytest.approx(coco_ap50(truths, answers), abs=1e-9)


def iou(one, other):
    first, second = one.mask(SIZE), other.mask(SIZE)
    return (first & second).sum() / (first | second).sum()


def test_overlaps_are_those_of_the_masks_one_by_one():
    random = np.random.default_rng(3)
    found, true = squares(random, 7), squares(random, 5)
    expected = [[iou(one, other) for other in true] for one in found]
    assert np.allclose(overlaps(numbered(found), np.arange(1, 8), true), expected)


def test_a_true_object_is_taken_once_by_the_surest():
    overlap = np.array([[0.9, 0.0], [0.6, 0.55], [0.7, 0.2]])
    assert matched(overlap, np.array([0.1, 0.9, 0.5])).tolist() == [-1, 0, -1]
    assert matched(overlap, np.array([0.9, 0.5, 0.1])).tolist() == [0, 1, -1]


def test_a_perfect_answer_has_quality_1_and_none_has_none():
    assert panoptic_quality(np.eye(4)) == 1
    assert panoptic_quality(np.zeros((0, 3))) == 0
    assert np.isnan(panoptic_quality(np.zeros((0, 0))))


def test_precision_without_a_true_object_is_unknown():
    assert np.isnan(average_precision([0] * (LEVELS + 1), [1] * (LEVELS + 1), 0))
