"""CST: few-shot classification and segmentation by correlating tokens (Kang et al. 2023); see `method.py`."""

from likewise.methods.cst.method import Cst

__all__ = ["Cst"]
