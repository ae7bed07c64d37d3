"""The default method; see `method.py`."""

from likewise.methods.analogy.method import READOUTS, Analogy

__all__ = ["READOUTS", "Analogy"]
