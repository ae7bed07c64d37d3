"""Label Anything: several classes at once from masks, boxes and points (De Marinis et al. 2024)."""

from likewise.methods.label_anything.method import LabelAnything

__all__ = ["LabelAnything"]
