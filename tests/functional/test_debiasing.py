"""Directions of places: what is taken out of tokens, and what stays."""

import numpy as np
import pytest
import torch

from likewise.functional.debiasing import position_basis, without_positions

PLACES, WIDTH = 35, 12


def orthonormal(seed, count, width=WIDTH):
    return torch.linalg.qr(torch.randn(width, count, generator=torch.Generator().manual_seed(seed))).Q


def blank(directions):
    """Tokens of a picture without content: one constant, and a part along each direction that differs by place."""
    places = torch.randn(PLACES, directions.shape[1], generator=torch.Generator().manual_seed(5))
    return torch.full((PLACES, WIDTH), 2.0) + 0.05 * places @ directions.T


def test_what_differs_by_place_alone_is_found():
    directions = orthonormal(1, 2)
    directions = torch.linalg.qr(directions - directions.mean(dim=0)).Q  # apart from the constant, so that lengths hardly change
    basis = position_basis(blank(directions), 2)
    assert basis.shape == (WIDTH, 2)
    torch.testing.assert_close(basis @ basis.T, directions @ directions.T, atol=0.02, rtol=0)


def test_the_directions_are_those_of_numpy():
    tokens = np.random.default_rng(2).normal(size=(PLACES, WIDTH))
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.cov(unit.T))
    expected = vectors[:, np.argsort(values)[::-1][:4]]
    basis = position_basis(torch.from_numpy(tokens), 4).double().numpy()
    assert np.abs(basis @ basis.T - expected @ expected.T).max() < 1e-6


def test_tokens_lose_their_parts_along_the_directions_and_have_length_1_again():
    basis = orthonormal(3, 4)
    tokens = torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(4))
    found = without_positions(tokens, basis)
    assert (found @ basis).abs().max() < 1e-6
    torch.testing.assert_close(found.norm(dim=2), torch.ones(2, 7))
    shifted = tokens / tokens.norm(dim=2, keepdim=True) + torch.randn(2, 7, 4) @ basis.T
    torch.testing.assert_close(torch.nn.functional.normalize(shifted - shifted @ basis @ basis.T, dim=2), found)


@pytest.mark.parametrize(("places", "count"), [(PLACES, 0), (PLACES, WIDTH), (9, 8), (1, 1)])
def test_no_more_than_the_tokens_span_can_be_taken(places, count):
    with pytest.raises(ValueError, match=f"{count} directions"):
        position_basis(torch.randn(places, WIDTH), count)
