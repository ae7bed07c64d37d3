"""VTM: any dense task from a few labelled images (Kim et al. 2023); see `method.py`."""
