"""Segment Anything as what draws masks of prompts: small networks with random numbers, as `transformers` keeps them."""

import numpy as np
import pytest
import torch
import transformers

from likewise.data import Example, Support
from likewise.errors import WeightsError
from likewise.task.segment_anything import ALONG, SegmentAnything, joined_scores, prompts
from sam_small import small_sam

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)


def labels_of(**given):
    return Support([Example(PICTURE, "x", **given)], classes={1: "a", 2: "b"}).examples[0].labels


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    """A SAM of 64 pixels."""
    network = small_sam()
    folder = tmp_path_factory.mktemp("sam")
    network.save_pretrained(folder)
    return folder, network


def test_prompts_are_each_box_and_all_points_of_a_class_together():
    labels = labels_of(
        boxes={"a": [(1, 2, 11, 12), (20, 5, 30, 25)]},
        points={"a": {"positive": [(5, 5)], "negative": [(50, 30)]}, "b": {"positive": [], "negative": [(3, 3)]}},
        scribbles={"a": [[(0, 0), (40, 0)]]},
    )
    first, second, points = prompts(labels, 1)
    assert first.box.tolist() == [1, 2, 11, 12]
    assert second.box.tolist() == [20, 5, 30, 25]
    assert points.box is None
    assert points.signs.tolist() == [1] * (1 + ALONG) + [0]
    assert points.points[0].tolist() == [5, 5]
    assert points.points[-1].tolist() == [50, 30]
    assert list(prompts(labels, 2)) == []  # what a class is not says nothing of where it is


def test_a_box_asks_the_network_as_its_own_interface_does(sam):
    folder, network = sam
    opened = SegmentAnything.opened(folder)
    assert (opened.side, opened.padded) == (64, True)
    found = opened.chances(PICTURE, labels_of(boxes={"a": [(6, 8, 36, 28)]}), [1, 2])
    assert set(found) == {1}
    assert found[1].shape == (40, 60)
    view, shape = opened.view(PICTURE)
    assert shape == (43, 64)  # the longer side fills the square
    assert not view[..., 43:, :].any()
    box = torch.tensor([[[6, 8, 36, 28]]]) * torch.tensor([64 / 60, 43 / 40, 64 / 60, 43 / 40]) - 0.5
    with torch.inference_mode():
        answer = network(pixel_values=view, input_boxes=box, multimask_output=True)
        mask = answer.pred_masks[0, 0, answer.iou_scores[0, 0].argmax()]
        large = torch.nn.functional.interpolate(mask[None, None], size=(64, 64), mode="bilinear")[..., :43, :64]
        wanted = torch.nn.functional.interpolate(large, size=(40, 60), mode="bilinear")[0, 0].sigmoid().numpy()
    assert found[1] == pytest.approx(wanted, abs=1e-5)


def test_negative_points_change_the_answer_and_tags_are_not_asked_about(sam):
    opened = SegmentAnything.opened(sam[0])
    plain = opened.chances(PICTURE, labels_of(points={"a": {"positive": [(30, 20)], "negative": []}}, tags={"b": True}), [1, 2])
    against = opened.chances(PICTURE, labels_of(points={"a": {"positive": [(30, 20)], "negative": [(5, 5)]}}), [1, 2])
    assert set(plain) == {1}
    assert np.abs(plain[1] - against[1]).max() > 1e-6
    assert opened.chances(PICTURE, labels_of(tags={"b": True}), [1, 2]) == {}


def test_sam_2_squashes_the_picture(tmp_path):
    vision = {"backbone_config": {"hidden_size": 16, "image_size": [64, 64], "blocks_per_stage": [1, 2, 2, 1], "embed_dim_per_stage": [16, 32, 64, 128]}}
    vision["backbone_config"] |= {
        "model_type": "sam2_hiera_det_model",
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "global_attention_blocks": [2],
        "window_size_per_stage": [4, 4, 4, 4],
    }
    vision |= {"backbone_channel_list": [128, 64, 32, 16], "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": 32}
    prompt = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 8}
    decoder = {"hidden_size": 32, "num_attention_heads": 2, "mlp_dim": 64, "iou_head_hidden_dim": 32}
    torch.manual_seed(0)
    transformers.Sam2Model(transformers.Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)).save_pretrained(tmp_path)
    opened = SegmentAnything.opened(tmp_path)
    assert (opened.side, opened.padded) == (64, False)
    assert opened.view(PICTURE)[1] == (64, 64)
    (found,) = opened.chances(PICTURE, labels_of(boxes={"b": [(6, 8, 36, 28)]}), [1, 2]).values()
    assert found.shape == (40, 60)
    assert ((found > 0) & (found < 1)).all()


def test_chances_take_the_place_of_scores():
    scores = np.array([0.6, 0.3, 0.1])[:, None, None] * np.ones((1, 2, 2))
    found = joined_scores(scores, {2: np.full((2, 2), 0.9)}, [1, 2])
    assert found[:, 0, 0] == pytest.approx([0.5, 1 / 3, 0.9])


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(WeightsError, match="no weights of Segment Anything") as error:
        SegmentAnything.opened(tmp_path / "nothing")
    assert "nothing" in str(error.value)
    transformers.ViTConfig(hidden_size=8, num_attention_heads=2).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="vit"):
        SegmentAnything.opened(tmp_path)
