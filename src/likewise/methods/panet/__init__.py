"""PANet: the class whose prototype is most alike (Wang et al. 2019); see `method.py`."""

from likewise.methods.panet.method import Panet

__all__ = ["Panet"]
