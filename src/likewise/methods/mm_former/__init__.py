"""MM-Former; see `method.py`."""

from likewise.methods.mm_former.method import MmFormer

__all__ = ["MmFormer"]
