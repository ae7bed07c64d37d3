"""EMAT: few-shot classification and segmentation by many correlation tokens and a lean transformer (2025); see `method.py`."""

from likewise.methods.emat.method import Emat

__all__ = ["Emat"]
