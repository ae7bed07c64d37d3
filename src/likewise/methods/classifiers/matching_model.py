"""Full context embeddings of matching networks (Vinyals et al. 2016), as Chen et al. 2019 build them.

Names of tensors are theirs: `G_encoder` the LSTM over the supports, `FCE.lstmcell` that of the queries.
Letters: S supports, Q queries, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from likewise.backbones.checkpoint import check_layout
from likewise.errors import WeightsError


class _Reading(nn.Module):
    """The cell that reads the supports again and again for a query."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstmcell = nn.LSTMCell(2 * width, width)


class FullContext(nn.Module):
    """Supports that know of each other, and queries that know of the supports."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.G_encoder = nn.LSTM(width, width, bidirectional=True)
        self.FCE = _Reading(width)

    def supports(self, supports: Tensor) -> Tensor:
        """The supports (S, D) in full context: each plus what both directions say of it. They depend on their order."""
        both, _ = self.G_encoder(supports[:, None])
        forwards, backwards = both[:, 0].chunk(2, dim=-1)
        return supports + forwards + backwards

    def queries(self, queries: Tensor, supports: Tensor, steps: int | None = None) -> Tensor:
        """The queries (Q, D) in full context of supports (S, D) that have theirs.

        steps: how often the supports are read; None for once a support, as published in code (the paper: a fixed number).
        """
        hidden, cell = queries, torch.zeros_like(queries)
        for _ in range(len(supports) if steps is None else steps):
            read = torch.softmax(hidden @ supports.T, dim=-1) @ supports  # official: products of unnormalised vectors
            hidden, cell = self.FCE.lstmcell(torch.cat([queries, read], dim=-1), (hidden, cell))
            hidden = hidden + queries
        return hidden

    def forward(self, supports: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Supports (S, D) and queries (Q, D) in full context."""
        found = self.supports(supports)
        return found, self.queries(queries, found)

    def supports_in_orders(self, supports: Tensor, orders: Iterable[Tensor]) -> Tensor:
        """The supports (S, D) in full context, averaged over orders (S,) of them, so that no one order counts; not in the publication."""
        found = []
        for order in orders:
            back = torch.empty_like(order)
            back[order] = torch.arange(len(order), device=order.device)
            found.append(self.supports(supports[order])[back])
        return torch.stack(found).mean(dim=0)


def full_context_of(tensors: Mapping[str, Tensor]) -> FullContext:
    """The embeddings of a checkpoint, whose other tensors are left out. WeightsError where they do not fit."""
    found = {name: tensor for name, tensor in tensors.items() if name.startswith(("G_encoder.", "FCE."))}
    if "FCE.lstmcell.weight_hh" not in found:
        raise WeightsError(
            "there are no full context embeddings", where="matching networks", remedy="Name a checkpoint with FCE.lstmcell.* and G_encoder.* tensors"
        )
    network = FullContext(found["FCE.lstmcell.weight_hh"].shape[1])
    check_layout(found, network.state_dict(), "matching networks")
    network.load_state_dict(found)
    return network
