"""Formats: reading a support, a list of images or a truth from files, and writing predictions."""

from likewise.formats.reading import ImageEntry, ImageList, ReadSupport, Truth, list_images, list_paths, read_support, read_truth
from likewise.formats.recognise import FORMATS, Format, recognise
from likewise.formats.writing import LabelWriter, open_writer, output_stem, write_prediction

__all__ = [
    "FORMATS",
    "Format",
    "ImageEntry",
    "ImageList",
    "LabelWriter",
    "ReadSupport",
    "Truth",
    "list_images",
    "list_paths",
    "open_writer",
    "output_stem",
    "read_support",
    "read_truth",
    "recognise",
    "write_prediction",
]
