"""The classic few-shot learners: a class for an image, from a few images of every class."""
