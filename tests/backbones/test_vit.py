"""The network against the transformers library, tensor names of every source, position embeddings, engines."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel, ViTConfig, ViTMAEConfig, ViTMAEModel, ViTModel

from likewise.backbones import FeatureSpec, from_tensors, load_backbone
from likewise.backbones.checkpoint import official_names
from likewise.backbones.engines import TorchEngine, make_engine
from likewise.backbones.position import resize_position_embedding
from likewise.backbones.vit import VisionTransformer, VitConfig, attention_map
from likewise.errors import UsageError, WeightsError

SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}
OURS = {"width": 24, "depth": 3, "heads": 2}


def shaken(model):
    """The model with every tensor random, so that none is a zero or one by default."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.2)
    return model.eval()


CASES = {
    "registers": (
        lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SIZES, image_size=70, patch_size=14, num_register_tokens=4)),
        VitConfig(**OURS, patch=14, grid=5, registers=4),
    ),
    "dinov2": (lambda: Dinov2Model(Dinov2Config(**SIZES, image_size=70, patch_size=14)), VitConfig(**OURS, patch=14, grid=5, position_rule="size")),
    "vit": (
        lambda: ViTModel(ViTConfig(**SIZES, image_size=40, patch_size=8, intermediate_size=96, layer_norm_eps=1e-6), add_pooling_layer=False),
        VitConfig(**OURS, patch=8, grid=5, layer_scale=False, position_rule="size"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_tokens_equal_those_of_transformers(case):
    make, config = CASES[case]
    theirs = shaken(make())
    ours = from_tensors("tiny", "0", config, theirs.state_dict()).network
    patch = config.patch
    images = torch.randn(2, 3, 4 * patch, 7 * patch, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        extra = {"interpolate_pos_encoding": True} if case == "vit" else {}
        expected = theirs(images, **extra).last_hidden_state
        found = ours(images, (-1,))[0]
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_tokens_of_mae_equal_those_of_transformers_with_nothing_masked():
    theirs = shaken(ViTMAEModel(ViTMAEConfig(**SIZES, image_size=40, patch_size=8, intermediate_size=96, layer_norm_eps=1e-6, mask_ratio=0.0)))
    ours = from_tensors("tiny", "0", VitConfig(**OURS, patch=8, grid=5, layer_scale=False), theirs.state_dict()).network
    images = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        in_order = torch.arange(25.0).expand(2, -1)
        torch.testing.assert_close(ours(images, (-1,))[0], theirs(images, noise=in_order).last_hidden_state, atol=2e-5, rtol=1e-4)


def test_the_decoder_of_mae_and_a_classifier_are_no_part_of_a_backbone():
    network = load_backbone("random:vit-tiny-8").network
    extra = ("decoder_embed.weight", "decoder_blocks.0.norm1.bias", "head.weight", "classifier.bias")
    named = official_names({**network.state_dict(), **{name: torch.zeros(2) for name in extra}})
    assert named.keys() == network.state_dict().keys()


def test_without_layers_every_block_answers_in_order():
    network = load_backbone("random:vit-tiny-8").network
    images = torch.randn(2, 3, 24, 40)
    for found, expected in zip(network(images, ()), network(images, (0, 1, 2)), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_attention_of_the_last_block_mixes_its_values_into_the_blocks_own_answer():
    network = load_backbone("random:vit-tiny-8").network
    images = torch.randn(2, 3, 24, 40)
    q, k, v = network(images, (0,), facets=("q", "k", "v"))[1:]
    x = network.embed(images, network.position((3, 5)))
    for block in network.blocks[:2]:
        x = block(x)
    last = network.blocks[2]
    mixed = (attention_map(q, k) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(last.attn.proj(mixed), last.attn(last.norm1(x)))


def test_names_of_transformers_4_give_the_same_network():
    five = shaken(CASES["registers"][0]()).state_dict()
    four = {}
    for name, tensor in five.items():
        for new, old in (("q_proj", "attention.query"), ("k_proj", "attention.key"), ("v_proj", "attention.value"), ("o_proj", "output.dense")):
            name = name.replace(f"attention.{new}.", f"attention.{old}.")
        four["dinov2_with_registers." + name] = tensor
    one, two = official_names(five), official_names(four)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_official_names_are_taken_as_they_are():
    network = load_backbone("random:vit-tiny-14").network
    named = official_names({**network.state_dict(), "mask_token": torch.zeros(1, 48)})
    assert named.keys() == network.state_dict().keys()


def test_a_missing_an_unexpected_and_a_misshapen_tensor_are_all_named():
    tensors = dict(load_backbone("random:vit-tiny-14").network.state_dict())
    config = load_backbone("random:vit-tiny-14").config
    del tensors["norm.bias"]
    tensors["surprise"] = torch.zeros(1)
    tensors["cls_token"] = torch.zeros(1, 1, 7)
    with pytest.raises(WeightsError, match=r"1 missing \(norm.bias\); 1 unexpected \(surprise\); cls_token is \(1, 1, 7\)"):
        from_tensors("tiny", "0", config, tensors)


def test_unknown_random_backbones_are_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="vit-tiny-14"):
        load_backbone("random:vit-tiny")


def test_asked_layers_come_in_the_order_asked_and_later_blocks_do_not_run():
    network = load_backbone("random:vit-tiny-14").network
    images = torch.randn(1, 3, 28, 42)
    one, three = network(images, (1,))[0], network(images, (3, 1))
    torch.testing.assert_close(three[1], one)
    network.blocks[3] = torch.nn.Module()  # cannot be called
    torch.testing.assert_close(network(images, (1,))[0], one)


def test_queries_and_keys_of_the_last_block_reproduce_its_attention():
    network = load_backbone("random:vit-tiny-14").network
    images = torch.randn(2, 3, 28, 42)
    _, q, k = network(images, (0,), facets=("q", "k"))
    assert q.shape == k.shape == (2, 3, 1 + 2 + 6, 16)
    x = network.embed(images, network.position((2, 3)))
    for block in network.blocks[:3]:
        x = block(x)
    expected = network.blocks[3].attn.qkv(network.blocks[3].norm1(x))[..., :48].reshape(2, 9, 3, 16).transpose(1, 2)
    torch.testing.assert_close(q, expected)


class TestPositionEmbedding:
    table = torch.randn(1, 1 + 25, 6, generator=torch.Generator().manual_seed(2))

    def test_the_stored_grid_comes_back_untouched(self):
        assert resize_position_embedding(self.table, (5, 5), (5, 5), "factor") is self.table

    @pytest.mark.parametrize("rule", ["factor", "size", "antialias"])
    def test_prefix_rows_stay_and_shapes_fit(self, rule):
        found = resize_position_embedding(self.table, (5, 5), (3, 8), rule)
        assert found.shape == (1, 25, 6)
        assert torch.equal(found[:, 0], self.table[:, 0])

    def test_a_linear_ramp_stays_a_ramp_inside(self):
        ramp = torch.cat([torch.zeros(1, 1, 1), torch.arange(10.0).repeat(10, 1).reshape(1, 100, 1)], dim=1)
        found = resize_position_embedding(ramp, (10, 10), (10, 20), "size")[0, 1:, 0].reshape(10, 20)
        expected = (torch.arange(6.0, 14) + 0.5) / 2 - 0.5
        torch.testing.assert_close(found[4, 6:14], expected, atol=0.05, rtol=0)  # this cubic (a = -0.75) bends a ramp by 0.047

    def test_a_table_of_another_grid_is_an_error(self):
        with pytest.raises(ValueError, match="6x6"):
            resize_position_embedding(self.table, (6, 6), (3, 3), "size")


class TestEngines:
    spec = FeatureSpec(layers=(1, -1), qk=True)
    images = np.random.default_rng(0).integers(0, 256, (2, 42, 70, 3), dtype=np.uint8)

    @pytest.mark.parametrize("layers", [(1, -1), ()], ids=["chosen layers", "all layers"])
    def test_openvino_equals_torch(self, tmp_path, layers):
        backbone, spec = load_backbone("random:vit-tiny-14"), FeatureSpec(layers=layers, qk=True)
        one = make_engine(backbone, spec, engine="torch", device=torch.device("cpu"), precision="float32", cache=None)
        two = make_engine(backbone, spec, engine="openvino", device=torch.device("cpu"), precision="float32", cache=tmp_path)
        for reference, found in zip(one.run(self.images), two.run(self.images), strict=True):
            assert reference.dtype == found.dtype == torch.float16
            torch.testing.assert_close(found.float(), reference.float(), atol=2e-2, rtol=2e-2)
        assert one.run(self.images)[0].shape[1] == (len(layers) or 4)

    def test_the_converted_graph_is_kept_and_read_again(self, tmp_path):
        backbone = load_backbone("random:vit-tiny-14")
        first = make_engine(backbone, self.spec, engine="openvino", device=torch.device("cpu"), precision="float32", cache=tmp_path).run(self.images)
        written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        second = make_engine(backbone, self.spec, engine="openvino", device=torch.device("cpu"), precision="float32", cache=tmp_path).run(self.images)
        assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert not list(tmp_path.glob("*.draft*"))

    def test_bfloat16_tokens_point_the_same_way(self):
        backbone = load_backbone("random:vit-tiny-14")
        spec = FeatureSpec(layers=(-1,))
        one = TorchEngine(backbone, spec, torch.device("cpu"), "float32").run(self.images)[0].float()
        two = TorchEngine(backbone, spec, torch.device("cpu"), "bfloat16").run(self.images)[0].float()
        assert torch.nn.functional.cosine_similarity(one, two, dim=-1).min() > 0.99

    def test_an_answer_does_not_depend_on_the_images_beside_it(self):
        engine = make_engine(load_backbone("random:vit-tiny-14"), self.spec, engine="auto", device=torch.device("cpu"), precision="auto", cache=None)
        together, alone = engine.run(self.images), engine.run(self.images[1:])
        assert all(torch.equal(both[1:], one) for both, one in zip(together, alone, strict=True))

    @pytest.mark.parametrize("wrong", [{"engine": "onnx"}, {"precision": "int8"}])
    def test_unknown_engines_and_precisions_are_refused(self, wrong):
        wishes = {"engine": "auto", "precision": "auto"} | wrong
        with pytest.raises(UsageError, match="there is no"):
            make_engine(load_backbone("random:vit-tiny-14"), self.spec, device=torch.device("cpu"), cache=None, **wishes)


@pytest.mark.weights
def test_the_real_weights_load_strictly_and_agree_between_engines(default_weights):
    backbone = load_backbone(default_weights)
    assert isinstance(backbone.network, VisionTransformer)
    image = np.random.default_rng(1).integers(0, 256, (1, 224, 280, 3), dtype=np.uint8)
    spec = FeatureSpec(layers=(5, 11))
    one = make_engine(backbone, spec, engine="torch", device=torch.device("cpu"), precision="float32", cache=None).run(image)[0].float()
    two = make_engine(backbone, spec, engine="torch", device=torch.device("cpu"), precision="bfloat16", cache=None).run(image)[0].float()
    assert torch.nn.functional.cosine_similarity(one, two, dim=-1).mean() > 0.9994


def test_saved_features_are_read_instead_of_the_backbone(tmp_path):
    from likewise.backbones import FeatureProvider

    provider = FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch", features=tmp_path)
    spec = FeatureSpec(layers=(-1, 0), side=140, qk=True)
    prepared = provider.prepare(np.zeros((50, 80, 3), np.uint8), (spec,))
    first = provider.extract([prepared], spec)[0]
    (path,) = tmp_path.rglob("*.safetensors")
    assert load_file(path).keys() == {"tokens", "prefix", "q", "k", "prefix_qk"}
    second = FeatureProvider(load_backbone("random:vit-tiny-14"), engine="torch", features=tmp_path).extract([prepared], spec)[0]
    assert torch.equal(first.tokens, second.tokens)
    assert first.grid == second.grid == (8, 12)
