"""DINOv3: the transformers library as the oracle, every naming of its weights, the layout of the published files, rotary positions, both engines."""

import cmath
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import Dinov2Config, Dinov2Model, DINOv3ViTConfig, DINOv3ViTModel

from likewise.backbones import FeatureProvider, FeatureSpec, from_tensors, load_backbone
from likewise.backbones.checkpoint import official_names
from likewise.backbones.engines import make_engine
from likewise.backbones.registry import ARCHITECTURES
from likewise.backbones.rotary import rotary_position, turned
from likewise.backbones.vit import VisionTransformer, VitConfig, attention_map
from likewise.weights import entry

WIDTH, DEPTH, HEADS, REGISTERS = 24, 3, 2, 4
SHAPE = VitConfig(width=WIDTH, depth=DEPTH, heads=HEADS, patch=16, grid=4, registers=REGISTERS, norm_eps=1e-5, rotary=100.0)


def theirs(width=WIDTH, depth=DEPTH, heads=HEADS, **more):
    """A model of transformers without numbers that mean anything."""
    return DINOv3ViTModel(
        DINOv3ViTConfig(
            hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, intermediate_size=4 * width, num_register_tokens=REGISTERS, **more
        )
    ).eval()


def shaken(model, scale=0.2):
    """The model with every tensor random, so that none is a zero or one by default."""
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)
    return model


def hub_names(model):
    """The tensors as the files of the hub name them."""
    return {name.replace("model.layer.", "layer."): tensor for name, tensor in model.state_dict().items()}


def release_names(model):
    """The tensors as their authors released them: keys have a bias, and a mask that takes it out."""
    found = {}
    for name, tensor in hub_names(model).items():
        name = name.replace("embeddings.cls_token", "cls_token").replace("embeddings.mask_token", "mask_token").replace("layer.", "blocks.")
        name = name.replace("embeddings.register_tokens", "storage_tokens").replace("embeddings.patch_embeddings", "patch_embed.proj")
        name = name.replace("layer_scale1.lambda1", "ls1.gamma").replace("layer_scale2.lambda1", "ls2.gamma")
        found[name.replace("attention.o_proj", "attn.proj").replace("up_proj", "fc1").replace("down_proj", "fc2")] = tensor
    for index in range(model.config.num_hidden_layers):
        weights = [found.pop(f"blocks.{index}.attention.{part}_proj.weight") for part in "qkv"]
        query, value = (found.pop(f"blocks.{index}.attention.{part}_proj.bias") for part in "qv")
        found[f"blocks.{index}.attn.qkv.weight"] = torch.cat(weights)
        found[f"blocks.{index}.attn.qkv.bias"] = torch.cat([query, torch.full_like(query, 9.0), value])
        found[f"blocks.{index}.attn.qkv.bias_mask"] = torch.cat([torch.ones_like(query), torch.zeros_like(query), torch.ones_like(value)])
    return found | {"rope_embed.periods": torch.ones(3)}


@pytest.mark.parametrize("grid", [(3, 5), (7, 4), (4, 4), (1, 6)])
@pytest.mark.parametrize("naming", ["transformers 5", "hub", "release"])
def test_tokens_of_every_block_equal_those_of_transformers_on_any_grid_whatever_the_tensors_are_called(naming, grid):
    model = shaken(theirs())
    tensors = {"transformers 5": model.state_dict, "hub": lambda: hub_names(model), "release": lambda: release_names(model)}[naming]()
    ours = from_tensors("tiny", "0", SHAPE, tensors).network
    images = torch.randn(2, 3, grid[0] * 16, grid[1] * 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = [model.norm(state) for state in model(images, output_hidden_states=True).hidden_states[1:]]
        found = ours(images, ())
    assert len(found) == len(expected) == DEPTH
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def test_turned_queries_and_keys_give_the_attention_of_transformers():
    model = shaken(theirs(attn_implementation="eager"))
    ours = from_tensors("tiny", "0", SHAPE, model.state_dict()).network
    images = torch.randn(2, 3, 48, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, q, k = ours(images, (0,), facets=("q", "k"))
        expected = model(images, output_attentions=True).attentions[-1]
    assert q.shape == (2, HEADS, 1 + REGISTERS + 15, WIDTH // HEADS)
    torch.testing.assert_close(attention_map(q, k), expected, atol=2e-5, rtol=1e-4)


def test_the_small_network_at_its_real_size_equals_transformers():
    model = shaken(theirs(384, 12, 6), 0.02)
    ours = from_tensors("small", "0", ARCHITECTURES["dinov3-small"], hub_names(model)).network
    images = torch.randn(1, 3, 160, 272, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images, (-1,))[0], model(images).last_hidden_state, atol=1e-5, rtol=1e-4)


def test_two_blocks_of_the_base_networks_equal_transformers():
    three, two = shaken(theirs(768, 2, 12), 0.02), Dinov2Config(hidden_size=768, num_hidden_layers=2, num_attention_heads=12, image_size=518, patch_size=14)
    cases = (("dinov3-base", three, (80, 48)), ("dinov2-base", shaken(Dinov2Model(two), 0.02).eval(), (518, 518)))  # the grid that DINOv2 stores
    for name, model, size in cases:
        ours = from_tensors("base", "0", replace(ARCHITECTURES[name], depth=2), model.state_dict()).network
        images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(ours(images, (-1,))[0], model(images).last_hidden_state, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["dinov3-small", "dinov3-base", "dinov2-base"])
def test_networks_of_the_table_have_the_tensors_of_transformers_for_the_official_sizes(name):
    width, heads = (384, 6) if name.endswith("small") else (768, 12)
    with torch.device("meta"):
        two = Dinov2Config(hidden_size=width, num_hidden_layers=12, num_attention_heads=heads, image_size=518, patch_size=14)
        model = theirs(width, 12, heads) if name.startswith("dinov3") else Dinov2Model(two)
        ours = VisionTransformer(ARCHITECTURES[name]).state_dict()
        found = official_names(model.state_dict())
    assert {key: tensor.shape for key, tensor in found.items()} == {key: tensor.shape for key, tensor in ours.items()}


@pytest.mark.parametrize(("name", "width", "heads"), [("dinov3-small", 384, 6), ("dinov3-base", 768, 12)])
def test_the_published_files_have_exactly_the_size_of_these_tensors_by_the_names_of_the_hub(name, width, heads):
    with torch.device("meta"):
        tensors = hub_names(theirs(width, 12, heads))
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for key, tensor in sorted(tensors.items()):
        start, end = end, end + 4 * tensor.numel()
        header[key] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = len(json.dumps(header, separators=(",", ":")))
    assert 8 + -(-text // 8) * 8 + end == entry(name).places[0].size


def test_a_channel_and_the_one_half_a_width_behind_it_turn_like_a_complex_number():
    grid, width, base, prefix = (3, 5), 8, 100.0, 2
    x = torch.randn(1, 1, prefix + 15, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = turned(x, rotary_position(grid, width, base, prefix))[0, 0]
    for place, token in enumerate(x[0, 0]):
        row, column = divmod(place - prefix, 5)
        heights = (2 * (row + 0.5) / 3 - 1, 2 * (column + 0.5) / 5 - 1) if place >= prefix else (0.0, 0.0)
        for pair in range(4):
            angle = 2 * math.pi * heights[pair // 2] * base ** -(pair % 2 / 2)
            value = complex(token[pair], token[pair + 4]) * cmath.exp(1j * angle)
            assert abs(complex(found[place, pair], found[place, pair + 4]) - value) < 1e-5


def test_products_of_turned_tokens_depend_on_how_far_patches_are_apart():
    position = rotary_position((4, 6), 12, 100.0, 0)
    q, k = torch.randn(2, 12, generator=torch.Generator().manual_seed(1))
    products = turned(q.expand(1, 1, 24, 12), position)[0, 0] @ turned(k.expand(1, 1, 24, 12), position)[0, 0].T
    places = products.reshape(4, 6, 4, 6)
    torch.testing.assert_close(places[0, 1, 2, 4], places[1, 2, 3, 5], atol=1e-5, rtol=1e-4)
    assert abs(float(places[0, 1, 2, 4] - places[0, 1, 2, 5])) > 1e-3


def test_a_head_whose_width_has_no_two_axes_of_pairs_is_refused():
    with pytest.raises(ValueError, match="not 6"):
        rotary_position((2, 3), 6, 100.0, 1)


@pytest.mark.parametrize("layers", [(1, -1), ()], ids=["chosen layers", "all layers"])
def test_openvino_and_torch_agree_on_rotary_positions_at_several_sizes(tmp_path, layers):
    backbone, spec = load_backbone("random:dinov3-tiny-16"), FeatureSpec(layers=layers, qk=True)
    one, two = (make_engine(backbone, spec, engine=name, device=torch.device("cpu"), precision="float32", cache=tmp_path) for name in ("torch", "openvino"))
    for shape in ((64, 64), (48, 112)):
        images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
        for reference, found in zip(one.run(images), two.run(images), strict=True):
            torch.testing.assert_close(found.float(), reference.float(), atol=2e-2, rtol=2e-2)
        assert one.run(images)[0].shape == (2, len(layers) or 4, 1 + 2 + shape[0] * shape[1] // 256, 48)


def test_in_half_precision_tokens_point_the_same_way():
    backbone, spec = load_backbone("random:dinov3-tiny-16"), FeatureSpec(layers=(-1,))
    images = np.random.default_rng(0).integers(0, 256, (1, 80, 112, 3), dtype=np.uint8)
    one, two = (
        make_engine(backbone, spec, engine="torch", device=torch.device("cpu"), precision=precision, cache=None).run(images)[0].float()
        for precision in ("float32", "bfloat16")
    )
    assert torch.nn.functional.cosine_similarity(one, two, dim=-1).min() > 0.99


def test_each_tile_of_a_large_picture_has_the_positions_of_a_picture_of_its_own():
    provider = FeatureProvider(load_backbone("random:dinov3-tiny-16"), engine="torch", precision="float32")
    whole, picture = FeatureSpec(side=256, tile=128), np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    tiling = provider.tiling((256, 256), whole)
    found = provider.extract([provider.prepare(picture, (whole,))], whole)[0]
    assert found.grid == (16, 16)
    assert tiling is not None
    (first, *_) = tiling.cut(picture, 16)
    alone = provider.engine(whole).run(first[None])[0][0, 0, 3:].reshape(first.shape[0] // 16, first.shape[1] // 16, -1)
    torch.testing.assert_close(found.tokens[0].reshape(16, 16, -1)[:2, :2], alone[:2, :2])
