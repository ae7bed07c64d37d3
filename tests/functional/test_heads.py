"""The channels of tokens as heads."""

import pytest
import torch

from likewise.functional.heads import by_head


def test_heads_are_consecutive_groups_of_channels():
    tokens = torch.arange(2 * 5 * 6.0).reshape(2, 5, 6)
    found = by_head(tokens, 3)
    assert found.shape == (2, 3, 5, 2)
    assert found[1, 2, 4].tolist() == tokens[1, 4, 4:6].tolist()
    with pytest.raises(ValueError, match="4 heads"):
        by_head(tokens, 4)
