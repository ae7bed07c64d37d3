"""Centre-pivot 4-D convolution: of a full one over two pairs of axes, the two parts in which one pair stands still (Min et al. 2021)."""

from __future__ import annotations

from torch import Tensor, nn


class CenterPivotConv4d(nn.Module):
    """Maps over query and support: (X, C, h, w, s, t) -> (X, C', h, w, s', t').

    conv1 runs over the places of the query, on every `stride`-th place of the support; conv2 over those of the support with that
    stride; both have a bias, and are added. Which places are left follows from the input, so any sizes may follow each other.
    """

    def __init__(self, inside: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inside, outside, kernel, 1, kernel // 2)
        self.conv2 = nn.Conv2d(inside, outside, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        left = x[..., :: self.stride, :: self.stride]
        return _over_query(self.conv1, left) + _over_support(self.conv2, x)


def _over_query(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    count, _, _, _, rows, columns = x.shape
    flat = x.permute(0, 4, 5, 1, 2, 3).flatten(0, 2)
    found = convolution(flat)
    return found.reshape(count, rows, columns, *found.shape[1:]).permute(0, 3, 4, 5, 1, 2)


def _over_support(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    count, _, height, width, _, _ = x.shape
    found = convolution(x.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
    return found.reshape(count, height, width, *found.shape[1:]).permute(0, 3, 1, 2, 4, 5)
