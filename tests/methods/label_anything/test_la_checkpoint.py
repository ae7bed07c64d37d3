"""Released checkpoints: strict, with their configuration, under old and new names; sizes out of tensors."""

import json

import pytest
import torch
from la_small import CONFIG, PUBLISHED, head, published
from safetensors.torch import save_file

from likewise.errors import WeightsError
from likewise.methods.convert import convert_checkpoint
from likewise.methods.label_anything.checkpoint import converted, encoder_config, encoder_of, head_of
from likewise.methods.label_anything.config import HeadConfig, from_published
from likewise.weights import read_card, read_checkpoint


@pytest.fixture
def released(tmp_path):
    """A released checkpoint in miniature, as a folder of the hub."""
    (tmp_path / "hub").mkdir()
    save_file(published(), tmp_path / "hub" / "model.safetensors")
    (tmp_path / "hub" / "config.json").write_text(json.dumps(PUBLISHED))
    return tmp_path / "hub" / "model.safetensors"


def test_a_released_checkpoint_is_converted_with_its_settings(released, tmp_path):
    out = tmp_path / "la.safetensors"
    convert_checkpoint("label-anything", released, out)
    card = read_card(out)
    assert card.settings == {"official": True, "side": 96, "padded": False}
    tensors, _ = read_checkpoint(out)
    found = head_of(tensors, side=96, patch=16)
    assert (found.config.width, found.config.encoder_width, found.config.spatial, found.config.mixers, found.config.pool) == (32, 64, 3, (), 0)
    assert encoder_of(tensors).config.grid == 4


def test_new_names_of_the_encoder_give_the_same_network():
    old = published()
    attention = (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))
    pairs = [("encoder.layer.", "layers."), *((f"attention.attention.{before}", f"attention.{after}") for before, after in attention)]
    pairs += [("attention.output.dense", "attention.o_proj"), ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2")]
    new = {}
    for name, tensor in old.items():
        for before, after in pairs if "image_encoder" in name else ():
            name = name.replace(before, after)
        new[name] = tensor
    one, two = converted(old, PUBLISHED), converted(new, PUBLISHED)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.pop("model.neck.0.weight"), "missing"),
        (lambda t: t.pop("model.image_encoder.encoder.layer.1.output.dense.bias"), "missing"),
        (lambda t: t.update({"model.prompt_encoder.more": torch.zeros(2)}), "unexpected"),
        (lambda t: t.update({"model.image_encoder.more": torch.zeros(2)}), "unexpected"),
        (lambda t: t.update({"model.neck.1.weight": torch.zeros(7)}), "is \\(7,\\)"),
    ],
)
def test_a_missing_an_unexpected_and_a_misshapen_tensor_are_errors(spoil, said):
    tensors = published()
    spoil(tensors)
    with pytest.raises(WeightsError, match=said):
        converted(tensors, PUBLISHED)


def test_a_checkpoint_of_training_without_its_encoder_says_so():
    tensors = {name: tensor for name, tensor in published().items() if "image_encoder" not in name}
    with pytest.raises(WeightsError, match="no image encoder"):
        converted(tensors, PUBLISHED)


def test_without_its_configuration_it_is_refused(released, tmp_path):
    (released.parent / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"no config\.json"):
        convert_checkpoint("label-anything", released, tmp_path / "out.safetensors")
    (released.parent / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="cannot be read"):
        convert_checkpoint("label-anything", released, tmp_path / "out.safetensors")


def test_what_a_configuration_leaves_out_has_the_defaults_of_the_code():
    assert from_published({}) == HeadConfig(encoder_width=256, width=256, side=1024, mixers=("class_example_attention",), spatial=0, sam_neck=True)
    sam = {
        "encoder": "vit_b",
        "embed_dim": 512,
        "image_size": 1024,
        "use_vit_sam_neck": False,
        "image_embed_dim": 768,
        "spatial_convs": 3,
        "example_attention": True,
    }
    sam |= {"example_class_attention": False, "class_attention": False, "class_encoder": {"name": "RandomMatrixEncoder", "bank_size": 100, "embed_dim": 512}}
    assert from_published(sam) == HeadConfig(encoder_width=768, width=512, side=1024, mixers=("example_attention",), pool=100, spatial=3)
    with pytest.raises(WeightsError, match="fusion_transformer"):
        from_published({"fusion_transformer": "OneWayTransformer"})


@pytest.mark.parametrize("changes", [{}, {"mixers": ("example_attention",), "pool": 6}, {"class_width": 16, "mixers": ("class_attention",), "spatial": 0}])
def test_sizes_are_read_from_tensors(changes):
    model = head(**changes)
    found = head_of(model.state_dict(), side=CONFIG.side, patch=CONFIG.patch, heads=CONFIG.heads)
    assert found.config == model.config


def test_a_checkpoint_of_another_method_is_refused():
    with pytest.raises(WeightsError, match="no checkpoint of Label Anything"):
        head_of({"layer.weight": torch.zeros(3)}, side=60, patch=10)


def test_windows_of_a_sam_encoder_are_read_from_its_tables():
    width, tables = 128, (5, 13, 5)
    tensors = {
        "patch_embed.proj.weight": torch.zeros(width, 3, 8, 8),
        "pos_embed": torch.zeros(1, 49, width),
        "blocks.0.mlp.fc1.weight": torch.zeros(256, width),
    }
    tensors |= {f"blocks.{index}.attn.rel_pos_h": torch.zeros(rows, 32) for index, rows in enumerate(tables)}
    found = encoder_config(tensors)
    assert (found.window, found.whole, found.grid, found.heads, found.class_token) == (3, (1,), 7, 4, False)
