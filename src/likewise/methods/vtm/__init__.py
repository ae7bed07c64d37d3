"""VTM: any dense task from a few labelled images (Kim et al. 2023); see `method.py`."""

from likewise.methods.vtm.method import VisualTokenMatching

__all__ = ["VisualTokenMatching"]
