"""INSID3's algorithm on any backbone: no training, no SAM."""

from likewise.methods.insid3.method import Insid3, Insid3Settings

__all__ = ["Insid3", "Insid3Settings"]
