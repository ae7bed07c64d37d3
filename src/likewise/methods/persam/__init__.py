"""PerSAM: where a picture looks like the mean token of an object (Zhang et al. 2023); see `method.py`."""

from likewise.methods.persam.method import PerSam

__all__ = ["PerSam"]
