"""Classes and folds of Pascal-5i and COCO-20i. Sources: Shaban et al. 2017, Nguyen and Todorovic 2019."""

from __future__ import annotations

from typing import Literal

from likewise.errors import UsageError, close_match

OfficialName = Literal["pascal-5i", "coco-20i"]
FOLDS = 4

PASCAL_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
# in the order of COCO's category ids, which have gaps; numbered here without
COCO_CLASSES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange"),
    *("broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed"),
    *("dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)


def class_names(benchmark: OfficialName) -> dict[int, str]:
    """Names by number, from 1. UsageError for an unknown benchmark.

    >>> class_names("pascal-5i")[20]
    'tvmonitor'
    """
    known = {"pascal-5i": PASCAL_CLASSES, "coco-20i": COCO_CLASSES}
    if benchmark not in known:
        raise UsageError(f"there is no benchmark {benchmark!r}", where="benchmark", remedy=close_match(benchmark, known))
    return dict(enumerate(known[benchmark], start=1))


def novel_classes(benchmark: OfficialName, fold: int) -> tuple[int, ...]:
    """The classes that a fold tests, in increasing order; UsageError for a fold that does not exist.

    Pascal-5i is cut into blocks of five, COCO-20i is interleaved. (PANet cuts COCO into blocks of twenty: other numbers.)

    >>> novel_classes("pascal-5i", 1)
    (6, 7, 8, 9, 10)
    >>> novel_classes("coco-20i", 2)[:3]
    (3, 7, 11)
    """
    count = len(class_names(benchmark))
    if not 0 <= fold < FOLDS:
        raise UsageError(f"there is no fold {fold}", where="fold", remedy=f"Folds are 0 to {FOLDS - 1}")
    if benchmark == "pascal-5i":
        return tuple(range(5 * fold + 1, 5 * fold + 6))
    return tuple(range(fold + 1, count + 1, FOLDS))


def base_classes(benchmark: OfficialName, fold: int) -> tuple[int, ...]:
    """The classes that a fold trains on: all others, in increasing order."""
    novel = set(novel_classes(benchmark, fold))
    return tuple(number for number in class_names(benchmark) if number not in novel)
