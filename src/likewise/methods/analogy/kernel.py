"""Likeness to landmarks: what a regression that is not linear in the tokens is made of (after Nystroem).

A Gaussian kernel of two tokens falls to nothing away from what was shown, so that a sum of such kernels can follow
bends and cannot run away. Landmarks are some of the support's own tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.functional.matching import spread_out

LANDMARKS = 600  # kept with the task, 2 MB; 400 are 2 per cent worse on depth from several frames, 1000 hardly better
_WIDTH = 0.7  # of the kernel, in mean square lengths of a token; 0.5 and 1 do as well
_STEADY = 1e-3  # added to the kernel's diagonal, which is 1: near twins among the landmarks would make it singular


def landmark_places(count: int) -> Tensor:
    """At most `LANDMARKS` of `count` rows, evenly spaced: (M,)."""
    return spread_out(count, LANDMARKS)


def likeness(tokens: Tensor, marks: Tensor) -> Tensor:
    """Gaussian kernels in 0..1 of tokens (P, D) with landmarks (M, D): (P, M)."""
    marks = marks.to(tokens.dtype)
    square = (marks * marks).sum(1)
    apart = (tokens * tokens).sum(1)[:, None] + square - 2 * tokens @ marks.T
    return torch.exp(-apart.clamp_min(0) / (_WIDTH * square.mean()).clamp_min(1e-12))


def whitening(marks: Tensor) -> Tensor:
    """The matrix (M, M) that turns likeness into features whose plain ridge penalty is the kernel's own."""
    kernel = likeness(marks.float(), marks).double()
    factor = torch.linalg.cholesky(kernel + _STEADY * torch.eye(len(marks), dtype=torch.float64))
    return torch.linalg.solve_triangular(factor, torch.eye(len(marks), dtype=torch.float64), upper=False).T.float()


def strangeness(like: Tensor) -> float:
    """How unlike every landmark tokens are, given their likeness (P, M): 1 less the mean of the largest, 0 to 1."""
    return float(1 - like.amax(1).mean())
