"""BEiT: the transformers library as the oracle, every naming of its weights, relative positions on any grid, both engines."""

import numpy as np
import pytest
import torch
from transformers import BeitConfig, BeitModel

from likewise.backbones import FeatureSpec, from_tensors, load_backbone
from likewise.backbones.checkpoint import official_names
from likewise.backbones.engines import make_engine
from likewise.backbones.position import relative_count, relative_index, resize_relative_table
from likewise.backbones.vit import VitConfig
from likewise.errors import WeightsError
from likewise.weights.conversion import read_source

SIDE, PATCH, DEPTH, WIDTH, HEADS = 40, 8, 3, 24, 2
SHAPE = VitConfig(width=WIDTH, depth=DEPTH, heads=HEADS, patch=PATCH, grid=SIDE // PATCH, relative=True, final_norm=False)


def theirs(*, shared):
    """A random model of transformers, its relative positions in one table or in one of each block."""
    config = BeitConfig(
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        image_size=SIDE,
        patch_size=PATCH,
        layer_norm_eps=1e-6,
        use_shared_relative_position_bias=shared,
        use_relative_position_bias=not shared,
        use_mask_token=True,
        use_mean_pooling=False,
    )
    model = BeitModel(config, add_pooling_layer=False).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.2)
    return model


def release_names(model):
    """The tensors of a model of transformers as their authors released them."""
    found = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("embeddings.cls_token", "cls_token").replace("embeddings.mask_token", "mask_token")
        name = name.replace("embeddings.patch_embeddings.projection", "patch_embed.proj").replace("layers.", "blocks.")
        name = name.replace("lambda_", "gamma_").replace("layernorm_before", "norm1").replace("layernorm_after", "norm2")
        name = name.replace("attention.o_proj", "attn.proj").replace("shared_position_bias", "rel_pos_bias")
        name = name.replace("relative_position_bias.relative", "attn.relative").replace("layernorm.", "norm.")
        name = name.replace("attention.q_proj.bias", "attn.q_bias").replace("attention.v_proj.bias", "attn.v_bias")
        found[name] = tensor
    for index in range(DEPTH):
        parts = [found.pop(f"blocks.{index}.attention.{part}_proj.weight") for part in "qkv"]
        found[f"blocks.{index}.attn.qkv.weight"] = torch.cat(parts)
        found[f"blocks.{index}.attn.relative_position_index"] = torch.zeros(3, 3, dtype=torch.long)
    return found | {"lm_head.weight": torch.zeros(2, 2), "lm_head.bias": torch.zeros(2)}


def older_names(model):
    """The tensors as the files of the hub name them."""
    found = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("layers.", "encoder.layer.").replace("shared_position_bias", "encoder.relative_position_bias")
        for old, new in (("q_proj", "attention.query"), ("k_proj", "attention.key"), ("v_proj", "attention.value"), ("o_proj", "output.dense")):
            name = name.replace(f"attention.{old}", f"attention.{new}")
        name = name.replace("mlp.fc1", "intermediate.dense").replace("mlp.fc2", "output.dense")
        name = name.replace(".relative_position_bias.relative", ".attention.attention.relative_position_bias.relative") if "layer." in name else name
        found[f"beit.{name}"] = tensor
    return found


@pytest.mark.parametrize("shared", [True, False], ids=["one table", "a table a block"])
@pytest.mark.parametrize("naming", ["transformers 5", "hub", "release"])
def test_tokens_of_every_block_equal_those_of_transformers_whatever_the_tensors_are_called(naming, shared):
    model = theirs(shared=shared)
    tensors = {"transformers 5": model.state_dict, "hub": lambda: older_names(model), "release": lambda: release_names(model)}[naming]()
    ours = from_tensors("tiny", "0", SHAPE, tensors).network
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(images, output_hidden_states=True).hidden_states[1:]
        found = ours(images, ())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def test_a_release_file_may_wrap_its_tensors(tmp_path):
    for wrapper in ("model", "module"):
        torch.save({wrapper: {"cls_token": torch.ones(1, 1, 2)}}, tmp_path / "beit.pth")
        assert list(read_source(tmp_path / "beit.pth")) == ["cls_token"]


def test_a_table_for_another_grid_than_its_network_is_refused():
    tensors = dict(official_names(theirs(shared=True).state_dict()))
    with pytest.raises(WeightsError, match="relative_position_bias_table"):
        from_tensors("tiny", "0", VitConfig(**{**SHAPE.__dict__, "grid": 6}), tensors)


def test_a_pair_of_patches_is_looked_up_by_how_far_they_are_apart():
    index = relative_index((3, 4))
    total = relative_count((3, 4))
    assert total == 5 * 7 + 3
    seen = {}
    for one in range(12):
        for other in range(12):
            apart = (one // 4 - other // 4, one % 4 - other % 4)
            assert seen.setdefault(apart, int(index[1 + one, 1 + other])) == int(index[1 + one, 1 + other])
    assert sorted(seen.values()) == list(range(35))
    assert seen[0, 1] == seen[0, 0] + 1
    assert seen[1, 0] == seen[0, 0] + 7
    assert index[0, 1:].unique().tolist() == [total - 3]
    assert index[1:, 0].unique().tolist() == [total - 2]
    assert int(index[0, 0]) == total - 1


def test_a_table_on_another_grid_keeps_its_class_token_its_middle_and_a_slope():
    rows = torch.arange(-4, 5.0)[:, None, None].expand(9, 9, 2).reshape(-1, 2)
    table = torch.cat([rows, torch.tensor([[7.0, 1], [8, 2], [9, 3]])])
    wide = resize_relative_table(table, (5, 5), (5, 9))
    assert wide.shape == (relative_count((5, 9)), 2)
    torch.testing.assert_close(wide[-3:], table[-3:])
    planes = wide[:-3].reshape(9, 17, 2)
    torch.testing.assert_close(planes[4], torch.zeros(17, 2))
    torch.testing.assert_close(planes[:, 8], planes[:, 3])
    assert resize_relative_table(table, (5, 5), (5, 5)) is table
    with pytest.raises(ValueError, match="6x6"):
        resize_relative_table(table, (6, 6), (5, 5))


@pytest.mark.parametrize("shape", [(64, 64), (48, 88)])
def test_openvino_and_torch_agree_on_beit(shape):
    backbone = load_backbone("random:beit-tiny-8")
    images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    spec = FeatureSpec(layers=(1, -1))
    answers = [
        make_engine(backbone, spec, engine=name, device=torch.device("cpu"), precision="float32", cache=None).run(images)[0] for name in ("torch", "openvino")
    ]
    torch.testing.assert_close(answers[0], answers[1], atol=5e-3, rtol=5e-3)
    assert answers[0].shape == (2, 2, 1 + shape[0] * shape[1] // 64, 36)


def test_beit_sees_pixels_from_minus_one_to_one_and_dino_those_of_imagenet():
    white = np.full((1, 64, 64, 3), 255, np.uint8)
    backbone = load_backbone("random:beit-tiny-8")
    with torch.no_grad():
        expected = backbone.network(torch.ones(1, 3, 64, 64), (-1,))[0]
    engine = make_engine(backbone, FeatureSpec(), engine="torch", device=torch.device("cpu"), precision="float32", cache=None)
    torch.testing.assert_close(engine.run(white)[0][:, 0].float(), expected, atol=5e-3, rtol=5e-3)
    assert load_backbone("random:vit-tiny-8").config.mean == (0.485, 0.456, 0.406)
