"""The default method; see `method.py`."""

from likewise.methods.analogy.method import Analogy

__all__ = ["Analogy"]
