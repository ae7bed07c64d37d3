"""The benches of prompts and of Label Anything's speed: the same images with other labels, and a published form that is the same function."""

import json

import numpy as np
import pytest
import torch

from likewise import Example, Support
from likewise.methods.label_anything.config import HeadConfig
from likewise.methods.label_anything.model import untrained_head
from likewise.methods.label_anything.prompts import Prompts

SMALL = HeadConfig(encoder_width=20, width=64, side=70, patch=10, heads=8, hidden=24)


@pytest.fixture
def head():
    """A head whose numbers matter: initial ones would say nearly the same everywhere."""
    found = untrained_head(SMALL, 3)
    with torch.no_grad():
        for name, tensor in found.named_parameters():
            if tensor.ndim > 1 and "embed" not in name:
                tensor.mul_(2)
    return found


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_published_form_gives_the_prototypes_that_ours_gives(bench, head):
    features, masks = noise(1, 3, 64, 7, 7), torch.zeros(3, 5, 256, 256)
    masks[0, 1, 20:90, 30:200], masks[1, 3, 100:130, 40:50], masks[2, 3, 5:60, 7:250], masks[2, 4, 200:, 200:] = 1, 1, 1, 1
    theirs = bench("label_anything_official").prototypes(head.prompt_encoder.state_dict(), features, masks)
    ours = head.remember(features[None], Prompts(masks=masks[None].byte(), mask_flags=masks[None].flatten(3).any(dim=3).char())).prototypes[0]
    assert theirs.shape == (5, 64)
    assert torch.allclose(theirs, ours, atol=1e-4)
    assert float((ours[1] - ours[3]).abs().max()) > 0.01


def test_the_published_form_gives_the_logits_that_ours_gives(bench, head):
    features, prototypes = noise(2, 1, 64, 7, 7), noise(4, 3, 64)
    frequencies = head.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    theirs = bench("label_anything_official").logits(head.mask_decoder.state_dict(), features, prototypes, frequencies)
    ours = head.logits(features, prototypes)
    assert theirs.shape == (1, 3, 28, 28)
    assert torch.allclose(theirs, ours, atol=1e-4 * float(ours.abs().max()))


def test_prompts_stand_in_place_of_masks_and_are_the_same_for_the_same_draw(bench):
    masks = np.zeros((2, 40, 50), np.uint8)
    masks[0, 5:25, 8:30], masks[1, 10:30, 20:44] = 1, 2
    plain = Support([Example(np.zeros((40, 50, 3), np.uint8), f"{i}", label_map=mask) for i, mask in enumerate(masks)], classes={1: "a", 2: "b"})
    kinds = {"box": "box", "scribble": "scribble", "point3": "point", "tag": "tag"}
    for kind, label in kinds.items():
        found = bench("prompts").with_prompts(plain, kind, 7)
        assert found.kinds() == {label, "tag"}
        assert found.digest() == bench("prompts").with_prompts(plain, kind, 7).digest()
        assert [example.labels.present(1) for example in found.examples] == [True, False]
    assert len(bench("prompts").with_prompts(plain, "point3", 7).examples[1].labels.points[2][0]) == 3
    assert bench("prompts").with_prompts(plain, "mask", 7).digest() == plain.digest()


@pytest.fixture
def rows(bench, tmp_path):
    """Two draws of masks and boxes and one of tags."""
    found = {"mask": {0: 60.0, 1: 40.0}, "box": {0: 54.0, 1: 38.0}, "tag": {1: 30.0}}
    for kind, draws in found.items():
        for draw, miou in draws.items():
            path = tmp_path / f"analogy-fast-{kind}" / "1" / "objects" / f"{draw}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"miou": miou, "side": 448, "refined": {"iou": 50.0 + draw, "precision": 90.0, "recall": 70.0}}))
    return bench("results").load(tmp_path)


def test_shares_are_of_the_masks_on_the_same_draws(bench, rows):
    _, _, line = bench("tables_prompts").scores(rows, "analogy-fast")
    assert line == "| `objects`, 1 | 2 | 50.0 ± 14.1 | 46.0 ± 11.3 (92) |  |  |  |  | 30.0 (75) |"
    assert "boxes reach 90 % of the masks' mIoU on 1 of 1 (`objects` 1)" in bench("tables_prompts").goals(rows, "analogy-fast")
    _, _, one = bench("tables_prompts").shares(rows)
    assert one == "| `analogy-fast` | 1 | 50.0 | 92 |  |  |  |  | 75 |"
    assert bench("tables_prompts").refined(rows, "analogy-fast")[2].startswith("| `objects`, 1 | 50 / 90 |")
