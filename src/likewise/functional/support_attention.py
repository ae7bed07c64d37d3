"""Attention of queries over supports, and what it says of classes (matching networks, Vinyals et al. 2016).

Letters: S supports, Q queries, D width, N classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

Kernel = Literal["sharp", "cosine", "support"]

SHARPNESS = 100.0  # of cosines, Chen et al. 2019
LENGTH = 1e-5  # added to lengths, ibid.
FLOOR = 1e-6  # added to probabilities before their logarithm, ibid.


def attention(queries: Tensor, supports: Tensor, kernel: Kernel = "sharp") -> Tensor:
    """The softmax (Q, S) over the supports (S, D) of each query (Q, D).

    kernel: "sharp", 100 relu(cosine) (Chen et al. 2019); "cosine", the cosine alone (the paper); "support", products with the
    supports' directions, queries of their own length (Wang et al. 2018).
    """
    unit = supports / (supports.norm(dim=-1, keepdim=True) + LENGTH)
    if kernel == "support":
        return torch.softmax(queries @ unit.T, dim=-1)
    cosine = queries / (queries.norm(dim=-1, keepdim=True) + LENGTH) @ unit.T
    return torch.softmax(SHARPNESS * torch.relu(cosine) if kernel == "sharp" else cosine, dim=-1)


def class_probabilities(weights: Tensor, labels: Tensor, n_way: int, *, by_shot: bool = False) -> Tensor:
    """The probabilities (Q, N) of classes from attention (Q, S) over supports of classes (S,): what the supports of each sum to.

    So a class with more examples is favoured. by_shot: each class's sum is divided by its count of supports, and the quotients by
    their sum; without effect where all classes have as many. Raises ValueError by_shot for a class without support.

    >>> class_probabilities(torch.tensor([[0.2, 0.3, 0.5]]), torch.tensor([0, 1, 0]), 2).tolist()
    [[0.699999988079071, 0.30000001192092896]]
    """
    member = one_hot(labels, n_way).to(weights.dtype)
    summed = weights @ member
    if not by_shot:
        return summed
    counts = member.sum(dim=0)
    if bool((counts == 0).any()):
        raise ValueError("a class has no support, so its share is not known")
    shares = summed / counts
    return shares / shares.sum(dim=-1, keepdim=True)


def log_probabilities(probabilities: Tensor) -> Tensor:
    """Logarithms of probabilities, none below -13.8."""
    return torch.log(probabilities + FLOOR)
