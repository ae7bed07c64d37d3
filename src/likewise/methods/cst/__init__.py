"""CST: few-shot classification and segmentation by correlating tokens (Kang et al. 2023)."""
