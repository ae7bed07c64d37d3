"""What unlabelled images say of a shift: of their features against those of the support, and of how often a class is shown.

Means of all tokens cannot be compared: a folder shows its classes in other shares than the support does. Tokens that are each
other's nearest across the two show the same thing, so the mean difference of such pairs is the shift (mutual nearest neighbours,
Haghverdi et al. 2018, of single cells in several batches).

Saerens et al. 2002 find the share of a class by expectation and maximisation of calibrated probabilities. Here a curve that comes
from other sets may be wrong by a constant too, and then their estimate runs away to 0 or 1; so both are estimated, and held to
what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

SHIFT = 1.5  # log-odds by which the curve of one set is usually off in another
APART = (1.5, 2.5, 4.0, 6.0, 8.0)  # log-odds between the means of images with a class and without
_SHIFTS, _SHARES = 49, 25  # points of the grid that is summed over
_WIDEST = 6.0
_CERTAIN = 12.0  # log-odds beyond which rounding decides


def mutual_pairs(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """The places of rows that are each other's nearest: rows (M, D), (K, D) of length 1 -> (R,), (R,); none where one is empty."""
    if not len(one) or not len(other):
        return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    alike = one @ other.T
    there, back = alike.argmax(1), alike.argmax(0)
    mine = (back[there] == torch.arange(len(one))).nonzero()[:, 0]
    return mine, there[mine]


def shift_to(support: Sequence[Tensor], folder: Sequence[Tensor]) -> Tensor:
    """What brings tokens of the images of a folder to those of a support, (L, P, D) each, all L layers of a token judged together: (L, D).

    Each layer is shrunk by what differences between images leave open (the positive part of James and Stein), so that it is zero where
    the folder's images differ from the support's no more than images do among themselves; zero too where fewer than two pairs are
    found, and of one image and one. Pairs that happen to be near are chosen, so the shift rather falls short. Raises ValueError for other layers or widths.
    """
    if support[0].shape[::2] != folder[0].shape[::2]:
        raise ValueError(f"tokens of shape {tuple(folder[0].shape)} are not of the layers and the width of {tuple(support[0].shape)}")
    known, seen = torch.cat(list(support), dim=1), torch.cat(list(folder), dim=1)
    mine, theirs = mutual_pairs(_joined(seen), _joined(known))
    if len(mine) < 2:
        return torch.zeros(known.shape[0], known.shape[2])
    apart = known[:, theirs].float() - seen[:, mine].float()
    shift = apart.mean(1)
    spread = [_spread(apart, _image_of(images)[rows]) for images, rows in ((folder, mine), (support, theirs))]
    if all(share == 1 for _, share in spread):
        return torch.zeros_like(shift)
    widest = torch.stack([variance for variance, _ in spread]).amax(0)  # of a lone image as of those on the other side
    noise = torch.stack([(widest if share == 1 else variance) * share for variance, share in spread]).sum(0)
    return shift * (1 - noise / (shift**2).sum(1).clamp_min(1e-12)).clamp_min(0)[:, None]


def presence_shift(log_odds: Tensor) -> Tensor:
    """By how much to move the log-odds of each class, from those of unlabelled images: (n, N) -> (N,).

    A class is shown by a share of the images. The log-odds of those that show it and of the others are normal around means that
    lie some `APART` apart, with that as their variance, which is what a logistic curve of slope 1 says; the middle between the
    means should be 0, but is off by a shift of usual size `SHIFT`. The answer is the mean over all shifts, shares (under Jeffreys'
    prior) and distances, each weighed by how well it explains the images. Raises ValueError without an image.
    """
    if log_odds.ndim != 2 or not len(log_odds):
        raise ValueError(f"log-odds of shape {tuple(log_odds.shape)} are not of one image at least")
    return torch.stack([_shift_of_one(column) for column in log_odds.double().clamp(-_CERTAIN, _CERTAIN).T]).to(log_odds.dtype)


def _shift_of_one(log_odds: Tensor) -> Tensor:
    """The same for one class: (n,) -> ()."""
    shifts = torch.linspace(-_WIDEST, _WIDEST, _SHIFTS, dtype=torch.float64)[:, None, None]
    shares = torch.linspace(0.02, 0.98, _SHARES, dtype=torch.float64)[None, :, None]
    apart = torch.tensor(APART, dtype=torch.float64)[None, None, :, None]
    moved = log_odds + shifts[..., None]
    shown = torch.log(shares)[..., None] - (moved - apart / 2) ** 2 / (2 * apart)
    others = torch.log1p(-shares)[..., None] - (moved + apart / 2) ** 2 / (2 * apart)
    explained = (torch.logaddexp(shown, others) - apart.log() / 2).sum(-1)
    usual = -(shifts**2) / (2 * SHIFT**2) - (shares.log() + torch.log1p(-shares)) / 2
    weight = torch.softmax((explained + usual).flatten(), dim=0).reshape(explained.shape)
    return (weight * (shifts + torch.logit(shares))).sum()


def _image_of(images: Sequence[Tensor]) -> Tensor:
    """Which image each token is of, where those of images (L, P, D) stand behind each other: (sum of P,)."""
    return torch.repeat_interleave(torch.arange(len(images)), torch.tensor([image.shape[1] for image in images]))


def _spread(apart: Tensor, image: Tensor) -> tuple[Tensor, float]:
    """How far the means of images lie apart, (L,) squared lengths, and the share of that in the mean of all: differences (L, R, D) of images (R,).

    One image says nothing of the former: zero, and its share is 1.
    """
    every = torch.bincount(image)
    counts, own = every[every > 0], ((every > 0).cumsum(0) - 1)[image]
    weight = counts / len(image)
    share = float((weight**2).sum())
    if len(counts) == 1:
        return torch.zeros(len(apart)), 1.0
    means = torch.zeros(len(apart), len(counts), apart.shape[2]).index_add_(1, own, apart) / counts[:, None]
    around = ((means - apart.mean(1, keepdim=True)) ** 2).sum(2)
    return (around * weight).sum(1) / (1 - share), share


def _joined(tokens: Tensor) -> Tensor:
    """Layers (L, P, D) side by side, each of length 1, the whole too: (P, L*D)."""
    return normalize(normalize(tokens.float(), dim=-1).permute(1, 0, 2).flatten(1), dim=-1)
