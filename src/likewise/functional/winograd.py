"""3x3 convolutions by a quarter of the products (Lavin and Gray 2016, after Winograd 1980).

A tile of 4x4 outputs follows from 6x6 inputs. Seen as polynomials, outputs are known from their values at six points, and a
value of a product is the product of the values: 36 products a tile instead of 144. With many channels these are 36
matrix products. The transforms before and behind them are matrix products too, so their numbers need not be round: at the
usual points 0, +-1, +-2 the largest rounding error is four times that of a plain convolution, at 0, +-3/4, +-3/2 it is the same.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

TILE, _SEEN = 4, 6  # outputs and inputs of a tile along a side
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)  # and infinity
_SMALLEST, _FEWEST = 24, 96  # side of maps and channels from which it is faster, on processors with AVX2


def pays(maps: Tensor, kernels: Tensor) -> bool:
    """Whether `convolved` is faster than a plain convolution of maps (B, C, H, W): for frozen kernels (D, C, 3, 3), on CPU, of some size."""
    plain = kernels.requires_grad or kernels.is_inference() or (maps.requires_grad and torch.is_grad_enabled())
    fits = maps.device.type == kernels.device.type == "cpu" and maps.dtype == kernels.dtype == torch.float32
    return fits and not plain and min(maps.shape[2:]) >= _SMALLEST and min(kernels.shape[:2]) >= _FEWEST


def transformed(kernels: Tensor) -> Tensor:
    """Kernels (D, C, 3, 3) as `convolved` takes them: (36, D, C), four times as many numbers."""
    _, own, _ = _transforms()
    both = torch.kron(own, own).to(kernels)  # (36, 9)
    return (both @ kernels.flatten(2).flatten(0, 1).T).reshape(-1, *kernels.shape[:2])


def convolved(maps: Tensor, kernels: Tensor, bias: Tensor | None = None) -> Tensor:
    """Maps (B, C, H, W) convolved with `transformed` kernels (36, D, C), zeros around: (B, D, H, W).

    >>> maps, kernels = torch.randn(2, 5, 9, 7), torch.randn(3, 5, 3, 3)
    >>> torch.allclose(convolved(maps, transformed(kernels)), conv2d(maps, kernels, padding=1), atol=1e-4)
    True
    """
    batch, channels, height, width = maps.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    into, back = _matrices(maps.dtype, maps.device)
    around = pad(maps, (1, columns * TILE - width + 1, 1, rows * TILE - height + 1))
    # a convolution of single channels cuts the tiles and transforms them in one pass: (B*C, 36, rows, columns)
    tiles = conv2d(around.flatten(0, 1)[:, None], into, stride=TILE).reshape(batch, channels, -1, rows * columns)
    found = maps.new_empty(batch, kernels.shape[1], rows, TILE, columns, TILE)
    for place, own in enumerate(tiles):
        products = torch.bmm(kernels, own.transpose(0, 1))
        outputs = back @ products.flatten(1)  # (16, D * rows * columns)
        found[place] = outputs.reshape(TILE, TILE, -1, rows, columns).permute(2, 3, 0, 4, 1)
    whole = found.reshape(batch, -1, rows * TILE, columns * TILE)[:, :, :height, :width]
    return whole if bias is None else whole.add_(bias[:, None, None])


@lru_cache(maxsize=1)
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """One-dimensional transforms: outputs (4, 6) from products, kernels (6, 3), inputs (6, 6).

    Of a polynomial product (long = short * kernel, by values at six points) the transpose is the convolution of a tile.
    """
    return _values(TILE).T, _values(3), torch.linalg.inv(_values(_SEEN)).T


def _values(degree: int) -> Tensor:
    """The values of polynomials with `degree` coefficients at the six points: (6, degree); at infinity the last coefficient."""
    finite = torch.tensor(_POINTS, dtype=torch.float64)[:, None] ** torch.arange(degree)
    return torch.cat([finite, torch.eye(degree, dtype=torch.float64)[-1:]])


@lru_cache(maxsize=8)
def _matrices(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both directions at once: inputs (36, 1, 6, 6) as a convolution's kernels, outputs (16, 36)."""
    with torch.inference_mode(False):
        outputs, _, inputs = _transforms()
        into = torch.kron(inputs, inputs).reshape(-1, 1, _SEEN, _SEEN)
        return into.to(device, dtype), torch.kron(outputs, outputs).to(device, dtype)
