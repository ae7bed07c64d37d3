"""Pixel classification as convpaint does it: features of labelled pixels, a forest of trees."""

from likewise.methods.convpaint.method import Convpaint, ConvpaintSettings

__all__ = ["Convpaint", "ConvpaintSettings"]
