"""Matcher: patches matched one to one, there and back (Liu et al. 2023); see `method.py`."""

from likewise.methods.matcher.method import Matcher

__all__ = ["Matcher"]
