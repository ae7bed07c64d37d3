"""ASNet: segmentation by attention over correlations of several layers (Kang and Cho 2022); see `method.py`."""
