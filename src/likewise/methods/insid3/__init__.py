"""INSID3's algorithm on any backbone: no training, no SAM."""
