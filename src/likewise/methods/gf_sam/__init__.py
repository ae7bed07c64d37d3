"""GF-SAM: points, a graph of their masks, and two gates (Zhang et al. 2024); see `method.py`."""
