"""GF-SAM: points, a graph of their masks, and two gates (Zhang et al. 2024); see `method.py`."""

from likewise.methods.gf_sam.method import GfSam

__all__ = ["GfSam"]
