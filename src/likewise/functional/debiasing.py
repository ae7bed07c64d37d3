"""Positional debiasing: what tokens say of the place where they stand is taken out of them (INSID3, arXiv 2603.28480).

A picture without content has tokens that differ by their places alone. The directions in which they differ most are taken out of the tokens of any picture
of that size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def position_basis(blank: Tensor, count: int) -> Tensor:
    """The directions (D, s) of length 1 in which the tokens of a picture without content differ most.

    blank (P, D): its tokens; count: s. Raises ValueError unless 0 < s and s is less than those tokens can span: of all that is left behind
    s = rank directions nothing is the picture's, and its rounding would be blown up. official: s = 500 whatever the width.
    """
    tokens = normalize(blank.double(), dim=1)
    most = min(tokens.shape[1], len(tokens) - 1)
    if not 0 < count < most:
        raise ValueError(f"{count} directions cannot be taken from {len(tokens)} tokens of width {tokens.shape[1]}: less than {most}, and more than 0")
    apart = tokens - tokens.mean(dim=0)
    return torch.linalg.svd(apart.T, full_matrices=False).U[:, :count].to(blank.dtype if blank.dtype == torch.float64 else torch.float32)


def without_positions(tokens: Tensor, basis: Tensor) -> Tensor:
    """Tokens (..., D) scaled to length 1, less their parts along a basis (D, s) of orthonormal directions, scaled to length 1 again."""
    unit = normalize(tokens.to(basis.dtype), dim=-1)
    return normalize(unit - (unit @ basis) @ basis.T, dim=-1)
