"""Label Anything: several classes at once from masks, boxes and points (De Marinis et al. 2024)."""
