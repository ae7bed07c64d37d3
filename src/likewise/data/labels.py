"""The kinds of labels that people give and of answers that methods return."""

from __future__ import annotations

from enum import StrEnum


class LabelKind(StrEnum):
    """What an example may carry."""

    MASK = "mask"
    BOX = "box"
    POINT = "point"
    SCRIBBLE = "scribble"
    TAG = "tag"
    DENSE = "dense"
    KEYPOINT = "keypoint"
    CLASS = "class"


class OutputKind(StrEnum):
    """What a prediction may carry."""

    MASKS = "masks"
    PRESENCE = "presence"
    DENSE = "dense"
    KEYPOINTS = "keypoints"
    CLASS = "class"
    INSTANCES = "instances"
