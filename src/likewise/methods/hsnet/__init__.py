"""HSNet: segmentation by squeezing correlations of several layers (Min et al. 2021); see `method.py`."""
