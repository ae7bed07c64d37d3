"""Token matching of VTM: label tokens of a query, read from the support by attention between image tokens.

Source: Kim et al. 2023, section 3.2, and its code, whose numbers count where they differ: products are divided by the
root of the whole width of the label tokens, there is a norm and a GELU behind. What depends on the support alone is
`remember`ed: keys and values. The code clips products to +-10,000, which no trained layer reaches; it is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize, scaled_dot_product_attention

from likewise.functional.heads import by_head


class Matching(nn.Module):
    """The matching of one level: width of image tokens, of label tokens, heads."""

    def __init__(self, width: int, label_width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, label_width**-0.5
        self.fc_q = nn.Linear(width, width, bias=False)
        self.fc_k = nn.Linear(width, width, bias=False)
        self.fc_v = nn.Linear(label_width, label_width, bias=False)
        self.fc_o = nn.Linear(label_width, label_width, bias=False)
        self.pre_ln = nn.LayerNorm(width)  # official: one module under two names, for queries and keys
        self.ln = nn.LayerNorm(label_width)

    def keys(self, tokens: Tensor) -> Tensor:
        """Keys of the support's image tokens: (..., S, D) -> (..., S, D)."""
        return self.fc_k(self.pre_ln(tokens))

    def values(self, labels: Tensor) -> Tensor:
        """Values of the support's label tokens: (..., S, Z) -> (..., S, Z)."""
        return self.fc_v(labels)

    def attention(self, tokens: Tensor, keys: Tensor) -> Tensor:
        """How much each query token reads of each support token: (B, Q, D), (S, D) -> (B, A, Q, S)."""
        q, k = by_head(self.fc_q(self.pre_ln(tokens)), self.heads), by_head(keys, self.heads)
        return torch.softmax(q @ k.transpose(-1, -2) * self.scale, dim=-1)

    def likeness(self, tokens: Tensor, keys: Tensor) -> Tensor:
        """How like a token of the support each query token is, by the largest cosine of their keys: (B, Q, D), (S, D) -> (B, Q)."""
        return (normalize(self.keys(tokens), dim=-1) @ normalize(keys, dim=-1).T).amax(dim=-1)

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor, dropout: float = 0.0) -> Tensor:
        """Label tokens of queries: tokens (B, Q, D), keys (S, D), values (C, S, Z) of C channels -> (B, C, Q, Z).

        The channels share queries, keys and attention. Queries do not see each other. dropout: on the attention.
        """
        channels, support, width = values.shape
        q, k = by_head(self.fc_q(self.pre_ln(tokens)), self.heads), by_head(keys, self.heads)
        # (C, S, A*z) -> (A, S, C*z): the values of all channels side by side under each head
        v = values.reshape(channels, support, self.heads, -1).permute(2, 1, 0, 3).flatten(2)
        batch = len(tokens)
        mixed = scaled_dot_product_attention(q, k.expand(batch, -1, -1, -1), v.expand(batch, -1, -1, -1), dropout_p=dropout, scale=self.scale)
        mixed = mixed.reshape(batch, self.heads, -1, channels, width // self.heads).permute(0, 3, 2, 1, 4).flatten(3)
        mixed = self.ln(mixed)
        return mixed + gelu(self.fc_o(mixed))
