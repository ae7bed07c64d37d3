"""Pixel classification as convpaint does it: features of labelled pixels, a forest of trees."""
