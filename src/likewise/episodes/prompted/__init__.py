"""Episodes whose supports have points, boxes and masks, as Label Anything is trained and judged on COCO-20i (De Marinis et al. 2024)."""
