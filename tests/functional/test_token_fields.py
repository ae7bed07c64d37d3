"""Fields made of tokens."""

import torch

from likewise.functional.token_fields import token_field


def tokens():
    """Two pictures of two levels; on the left of each one kind of patch, on the right another."""
    generator = torch.Generator().manual_seed(2)
    looks = torch.eye(12)[:2].repeat_interleave(2, 0).repeat(3, 1)  # 3 rows of 4
    return (3 * looks + 0.01 * torch.randn(2, 2, 12, 12, generator=generator)).half()


def test_a_field_parts_what_looks_different_alike_in_all_pictures():
    parted = 0
    for seed in range(8):
        values = token_field(tokens(), (3, 4), 24, seed)
        assert values.shape == (2, 24, 24)
        assert 0 <= float(values.min()) < 0.5 < float(values.max()) <= 1
        left, right = values[:, :, :9], values[:, :, 15:]
        parted += bool((left.min() > right.max()) | (right.min() > left.max()))
    assert parted >= 3  # patches of one kind differ by noise alone


def test_a_field_follows_from_its_seed():
    assert torch.equal(token_field(tokens(), (3, 4), 24, 5), token_field(tokens(), (3, 4), 24, 5))
    assert not torch.equal(token_field(tokens(), (3, 4), 24, 5), token_field(tokens(), (3, 4), 24, 6))
