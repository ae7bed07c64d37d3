"""PFENet: a prior, a vector of the class, and a pyramid (Tian et al. 2020); see `method.py`."""

from likewise.methods.pfenet.method import Pfenet

__all__ = ["Pfenet"]
