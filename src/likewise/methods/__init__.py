"""Methods of few-shot labelling: the interface, the table of names, and a file or folder for each.

from likewise import methods
methods.available()            every name with its line and paper
methods.method_class("ridge")  the class behind a name
methods.register(MyMethod)     a method of your own, until Python ends
"""

from likewise.methods.registry import Listed, available, method_class, register

__all__ = ["Listed", "available", "method_class", "register"]
