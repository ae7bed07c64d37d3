"""ASNet: segmentation by attention over correlations of several layers (Kang and Cho 2022); see `method.py`."""

from likewise.methods.asnet.method import Asnet

__all__ = ["Asnet"]
