"""Segment Anything's image encoder: the transformers library as the oracle, windows, other grids, pictures that keep their shape."""

import numpy as np
import pytest
import torch
from transformers import SamVisionConfig, SamVisionModel

from likewise.backbones import FeatureSpec, from_tensors, load_backbone
from likewise.backbones.engines import make_engine
from likewise.backbones.provider import FeatureProvider
from likewise.backbones.vit import IMAGENET_MEAN, IMAGENET_STD, VitConfig
from likewise.backbones.windows import WindowAttention
from likewise.data.geometry import by_longer_side, squash_image

SIDE, PATCH, WIDTH, HEADS, DEPTH, WINDOW = 56, 8, 24, 2, 3, 3
SHAPE = VitConfig(
    width=WIDTH, depth=DEPTH, heads=HEADS, patch=PATCH, grid=SIDE // PATCH, layer_scale=False, position_rule="size",
    final_norm=False, class_token=False, window=WINDOW, whole=(1,),
)  # fmt: skip


@pytest.fixture(scope="module")
def theirs():
    config = SamVisionConfig(
        hidden_size=WIDTH,
        output_channels=10,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        image_size=SIDE,
        patch_size=PATCH,
        mlp_dim=4 * WIDTH,
        window_size=WINDOW,
        global_attn_indexes=[1],
    )
    model = SamVisionModel(config).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.2)
    return model


def released(model):
    """The tensors as Meta released them."""
    found = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("vision_encoder.", "image_encoder.").replace("layers.", "blocks.").replace("layer_norm", "norm")
        found[name.replace("patch_embed.projection", "patch_embed.proj")] = tensor
    return found


@pytest.mark.parametrize("named", ["hub", "released"])
def test_the_oracle_agrees_in_both_namings(theirs, named):
    tensors = theirs.state_dict() if named == "hub" else released(theirs)
    ours = from_tensors("sam", "", SHAPE, tensors).network
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(images, output_hidden_states=True).hidden_states
        found = ours(images, (0, 1, 2))
    for index, tokens in enumerate(found):
        torch.testing.assert_close(tokens, expected[index + 1].flatten(1, 2), atol=2e-5, rtol=2e-5)


def test_tokens_see_their_window_alone_unless_the_block_sees_all():
    for window, all_change in ((3, False), (0, True)):
        layer = WindowAttention(12, 2, window, 5)
        with torch.no_grad():
            for tensor in layer.parameters():
                tensor.normal_(generator=torch.Generator().manual_seed(2), std=0.3)
            x = torch.randn(1, 35, 12, generator=torch.Generator().manual_seed(3))
            moved = x.clone()
            moved[0, 0] += 1  # the first of a grid of 5 rows and 7 columns
            changed = (layer(moved, grid=(5, 7)) - layer(x, grid=(5, 7))).abs().amax(dim=2)[0].reshape(5, 7) > 0
        assert bool(changed[:3, :3].all())
        assert bool(changed[3:].any()) == all_change
        assert bool(changed[:, 3:].any()) == all_change


def test_heads_one_after_the_other_give_the_same(monkeypatch):
    layer = WindowAttention(12, 3, 0, 5)
    with torch.no_grad():
        for tensor in layer.parameters():
            tensor.normal_(generator=torch.Generator().manual_seed(2), std=0.3)
        x = torch.randn(2, 20, 12, generator=torch.Generator().manual_seed(3))
        at_once = layer(x, grid=(4, 5))
        monkeypatch.setattr("likewise.backbones.windows.ONE_BY_ONE", 1)
        torch.testing.assert_close(layer(x, grid=(4, 5)), at_once, atol=1e-6, rtol=1e-6)


def test_tokens_that_are_no_grid_are_refused():
    with pytest.raises(ValueError, match="7 tokens are no grid"):
        WindowAttention(12, 2, 3, 5)(torch.zeros(1, 7, 12))


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize("size", [(60, 100), (75, 50), (64, 64)])
def test_a_picture_keeps_its_shape_in_a_square_of_zeros_behind_the_normalisation(engine, size):
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    backbone, spec = load_backbone("random:sam-tiny-8"), FeatureSpec(layers=(-1,), side=64, pad=True)
    provider = FeatureProvider(backbone, engine=engine, precision="float32")
    found = provider.extract([provider.prepare(picture, [spec])], spec)[0]
    inner = torch.from_numpy(squash_image(picture, by_longer_side(size, 64)).copy()).float() / 255
    square = torch.zeros(1, 3, 64, 64)
    square[0, :, : inner.shape[0], : inner.shape[1]] = ((inner - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).movedim(-1, 0)
    with torch.no_grad():
        (expected,) = backbone.network(square, (-1,))
    assert found.grid == (8, 8)
    assert found.prefix.shape[1] == 0
    torch.testing.assert_close(found.tokens.float(), expected, atol=5e-3, rtol=5e-3)


def test_another_grid_than_the_stored_one_is_served_by_both_engines():
    backbone, spec = load_backbone("random:sam-tiny-8"), FeatureSpec(layers=(0, 2))
    images = np.random.default_rng(1).integers(0, 255, (1, 48, 80, 3), np.uint8)
    one, two = (
        make_engine(backbone, spec, engine=name, device=torch.device("cpu"), precision="float32", cache=None).run(images)[0] for name in ("torch", "openvino")
    )
    assert one.shape == (1, 2, 60, 36)
    torch.testing.assert_close(one.float(), two.float(), atol=5e-3, rtol=5e-3)
