"""The nouns of Likewise: examples, labels, supports, targets, predictions, images and geometry."""

from likewise.data.classes import ClassTable
from likewise.data.example import Example
from likewise.data.instance import Instance
from likewise.data.labels import LabelKind, OutputKind
from likewise.data.prediction import Prediction
from likewise.data.resolve import Labels
from likewise.data.support import LabelledImage, Support
from likewise.data.target import Target

__all__ = ["ClassTable", "Example", "Instance", "LabelKind", "LabelledImage", "Labels", "OutputKind", "Prediction", "Support", "Target"]
