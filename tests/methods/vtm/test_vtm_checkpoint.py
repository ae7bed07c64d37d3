"""Checkpoints of VTM: official names, both files of a fine-tuning, BEiT to start from, rows to start with."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from vtm_small import small_vtm, some_biases

from likewise.errors import UsageError, WeightsError
from likewise.methods.convert import convert_checkpoint, onto
from likewise.methods.vtm import VisualTokenMatching
from likewise.methods.vtm.checkpoint import BIASES, IMAGE, biases_in, converted, from_beit, head_of, image_encoder, starting_rows

SHARED = Path(__file__).parents[3] / ".." / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not there")
META, TUNED = SHARED / "golden" / "vtm_ckpt_meta.ckpt", SHARED / "golden" / "vtm_ckpt_finetuned.ckpt"


def official_names(vtm, rows):
    """The tensors of a small model as official code calls them."""
    found = {}
    for name, tensor in vtm.image.state_dict().items():
        if name.endswith("attn.qkv.bias"):
            query, _, value = tensor.chunk(3)
            found[name.replace("qkv.bias", "q_bias")], found[name.replace("qkv.bias", "v_bias")] = query, value
        else:
            found[name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2")] = tensor
    found |= some_biases(vtm, rows)
    found = {f"image_backbone.backbone.beit.{name}": tensor for name, tensor in found.items()}
    for name, tensor in vtm.head.state_dict().items():
        if name.startswith("label."):
            name = "label_backbone.backbone.pretrained.model." + name.removeprefix("label.")
        elif name.startswith("decoder.act"):
            name = "label_backbone.backbone.pretrained." + name.removeprefix("decoder.")
        elif name.startswith("decoder."):
            name = "label_backbone.backbone.scratch." + name.removeprefix("decoder.")
        else:
            name = "matching_module." + name.replace("pre_ln", "pre_ln_q")
            if "pre_ln_q" in name:
                found[name.replace("pre_ln_q", "pre_ln_k")] = tensor
        found[name] = tensor
    found["label_backbone.backbone.pretrained.model.head.weight"] = torch.zeros(3, 20)
    found["label_backbone.backbone.scratch.refinenet4.resConfUnit1.conv1.weight"] = torch.zeros(8, 8, 3, 3)
    return {f"model.{name}": tensor for name, tensor in found.items()}


def test_official_tensors_make_the_same_networks_and_rows():
    vtm = small_vtm()
    tensors = converted(official_names(vtm, 5))
    head = head_of(tensors, heads=5, matching_heads=2)
    assert head.config == vtm.head.config
    assert all(torch.equal(tensor, vtm.head.state_dict()[name]) for name, tensor in head.state_dict().items())
    image = image_encoder(tensors)
    assert (image.config.heads, image.config.depth, image.config.patch, image.config.grid) == (3, 4, 8, 8)
    assert biases_in(tensors).keys() == some_biases(vtm, 1).keys()
    own = image.state_dict()
    for name, tensor in vtm.image.state_dict().items():
        if name.endswith("qkv.bias"):
            width = len(tensor) // 3
            tensor = torch.cat([tensor[:width], torch.zeros(width), tensor[2 * width :]])
        expected = some_biases(vtm, 5)[name][0] if name in biases_in(tensors) else tensor
        assert torch.equal(own[name], expected), name


@needs_shared
def test_the_published_layout_of_463_entries_is_read_whole():
    layout = json.loads((SHARED / "spec" / "state_dicts" / "vtm.json").read_text())
    layout = layout["layout"] if isinstance(layout, dict) else layout
    assert len(layout) == 463
    with torch.device("meta"):
        official = {f"model.{name}": torch.empty(shape) for name, shape in layout}
        tensors = converted(official)
    assert sum(tensor.shape[0] == 34 for name, tensor in tensors.items() if name.startswith(BIASES)) == 60
    used = sum(tensor.numel() for tensor in tensors.values())
    assert used < sum(tensor.numel() for tensor in official.values())


@needs_shared
def test_a_fine_tuned_file_is_put_onto_its_base_and_alone_it_says_so(tmp_path):
    assert convert_checkpoint("vtm", META, tmp_path / "meta.safetensors") > 200
    convert_checkpoint("vtm", TUNED, tmp_path / "tuned.safetensors", base=META)
    meta, tuned = load_file(tmp_path / "meta.safetensors"), load_file(tmp_path / "tuned.safetensors")
    assert meta.keys() == tuned.keys()
    changed = {name for name in meta if meta[name].shape != tuned[name].shape}
    assert changed == {name for name in meta if name.startswith(BIASES)}
    assert {len(tuned[name]) for name in changed} == {2}
    with pytest.raises(WeightsError, match="biases alone") as error:
        convert_checkpoint("vtm", TUNED, tmp_path / "alone.safetensors")
    assert "--base" in error.value.remedy
    with pytest.raises(WeightsError, match="the base has no"):
        convert_checkpoint("vtm", META, tmp_path / "wrong.safetensors", base=TUNED)


def test_files_of_other_methods_and_broken_ones_are_refused():
    tensors = converted(official_names(small_vtm(), 2))
    with pytest.raises(WeightsError, match="no checkpoint of VTM"):
        converted({"learner.corrtransformer.0.attn.qkv.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="not whole"):
        head_of({"learner.x": torch.zeros(1)})
    without = {name: tensor for name, tensor in tensors.items() if "fc_v" not in name}
    with pytest.raises(WeightsError, match=r"4 missing .*fc_v"):
        head_of(without, heads=5)
    with pytest.raises(WeightsError, match="image encoder is not whole"):
        image_encoder({f"{IMAGE}cls_token": torch.zeros(1, 1, 4)})
    assert image_encoder({name: tensor for name, tensor in tensors.items() if not name.startswith(IMAGE)}) is None


def test_tuned_tensors_must_have_the_width_of_their_base():
    base = {"a": torch.zeros(5, 3), "b": torch.ones(2)}
    assert onto(base, {"a": torch.ones(2, 3)})["a"].shape == (2, 3)
    with pytest.raises(WeightsError, match="no a"):
        onto(base, {"a": torch.ones(2, 4)})


def test_rows_that_training_left_alone_are_known_by_being_equal():
    rows = torch.tensor([[1.0, 2], [3, 4], [5, 6], [3, 4], [7, 8]])
    assert starting_rows({"x": rows}, 2) == [1, 1]
    assert starting_rows({"x": rows[:3]}, 5) == [0, 1, 2, 0, 1]
    assert starting_rows({"x": rows}, 2, (4, 0)) == [4, 0]
    for asked in ((4,), (0, 5), (-1, 0)):
        with pytest.raises(UsageError, match="rows"):
            starting_rows({"x": rows}, 2, asked)


def test_a_training_may_start_from_beit_with_as_many_rows_as_channels():
    vtm = small_vtm()
    tensors = from_beit(vtm.image.state_dict(), 7)
    assert image_encoder(tensors) is not None
    for name, tensor in biases_in(tensors).items():
        assert tensor.shape[0] == 7
        assert torch.equal(tensor[6], vtm.image.state_dict()[name])


def test_a_converted_file_is_what_equipped_reads(tmp_path):
    tensors = converted(official_names(small_vtm(), 3))
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, tmp_path / "x.safetensors")
    method = VisualTokenMatching(VisualTokenMatching.Settings(label_heads=5, matching_heads=2)).equipped(load_file(tmp_path / "x.safetensors"))
    assert method.backbone().name == "checkpoint"
    assert method.wants()[0].side == 48
