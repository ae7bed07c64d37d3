"""The channels of tokens as the heads of an attention."""

from __future__ import annotations

from torch import Tensor


def by_head(tokens: Tensor, heads: int) -> Tensor:
    """Tokens (..., T, D) cut into the groups of channels that heads have: (..., A, T, D/A), the first head from the first channels.

    Raises ValueError where the heads do not divide the width.
    """
    if tokens.shape[-1] % heads:
        raise ValueError(f"{heads} heads do not divide a width of {tokens.shape[-1]}")
    return tokens.reshape(*tokens.shape[:-1], heads, -1).transpose(-3, -2)
