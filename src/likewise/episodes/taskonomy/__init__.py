"""Taskonomy: ten dense tasks on pictures of buildings, as VTM is trained and judged on them (Zamir et al. 2018, Kim et al. 2023)."""
