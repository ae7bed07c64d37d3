"""HSNet: segmentation by squeezing correlations of several layers (Min et al. 2021); see `method.py`."""

from likewise.methods.hsnet.method import Hsnet

__all__ = ["Hsnet"]
