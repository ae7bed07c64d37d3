"""MM-Former; see `method.py`."""
