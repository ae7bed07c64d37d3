"""Pure functions over arrays and tensors: no files, devices, settings or classes of the program."""
