"""The kinds of labels that people give and of answers that methods return."""

from __future__ import annotations

from enum import StrEnum


class LabelKind(StrEnum):
    """What an example may carry; a vector is said of a class, by the support."""

    MASK = "mask"
    BOX = "box"
    POINT = "point"
    SCRIBBLE = "scribble"
    TAG = "tag"
    DENSE = "dense"
    KEYPOINT = "keypoint"
    CLASS = "class"
    VECTOR = "vector"


class OutputKind(StrEnum):
    """What a prediction may carry."""

    MASKS = "masks"
    PRESENCE = "presence"
    DENSE = "dense"
    KEYPOINTS = "keypoints"
    CLASS = "class"
    INSTANCES = "instances"
