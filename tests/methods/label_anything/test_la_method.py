"""Label Anything as a method: any mix of prompts, one memory, released checkpoints end to end."""

import json

import numpy as np
import pytest
import torch
from la_small import PUBLISHED, mixed_support, picture, published
from safetensors.torch import save_file

from likewise import learn, load
from likewise.data import Example, Support
from likewise.errors import InputError, WeightsError
from likewise.methods.convert import convert_checkpoint

SMALL = {"backbone": "random:vit-tiny-14", "checkpoint": "random", "side": 84, "width": 32, "hidden": 24}


def test_any_mix_of_prompts_is_learned_from():
    task = learn(mixed_support(), "label-anything", **SMALL)
    answer = task.predict(picture(9)[0])
    assert answer.labels.shape == (52, 70)
    assert task.memory.tensors["prototypes"].shape == (2, 32)
    assert task.memory.tensors["known"].tolist() == [True, True]


def test_every_example_counts():
    support = mixed_support()
    whole = learn(support, "label-anything", **SMALL).memory.tensors["prototypes"][1]
    for index in range(5):
        names = [example.name for place, example in enumerate(support.examples) if place != index]
        task = learn(support, "label-anything", **SMALL)
        task = task.forget([support.examples[index].name]) or task
        assert [example.name for example in task.support.examples] == names
        assert not torch.allclose(task.memory.tensors["prototypes"][1], whole, atol=1e-5)


def test_a_class_without_examples_takes_no_pixel():
    image, mask = picture(0)
    support = Support([Example(image, "0", label_map=mask.astype(np.uint8))], classes={1: "square", 2: "never"})
    with pytest.warns(UserWarning, match="never"):
        task = learn(support, "label-anything", **SMALL)
    answer = task.predict(image)
    assert answer.present["never"] < 0.5
    assert not (answer.labels == 2).any()


def test_rows_of_the_token_pool_are_kept_in_the_task(tmp_path):
    image, mask = picture(0)
    support = Support([Example(image, "0", label_map=mask.astype(np.uint8))], classes={1: "square"})
    first, drawn = (learn(support, "label-anything", pool=40, seed=seed, **SMALL) for seed in (-1, 5))
    assert first.memory.facts["rows"] == [0, 1]
    assert drawn.memory.facts["rows"][0] == 0
    assert drawn.memory.facts["rows"] == learn(support, "label-anything", pool=40, seed=5, **SMALL).memory.facts["rows"]
    drawn.save(tmp_path / "a.task")
    assert load(tmp_path / "a.task").memory.facts["rows"] == drawn.memory.facts["rows"]


def test_more_classes_than_the_token_pool_marks_are_refused():
    image, _ = picture(0)
    numbers = np.zeros((52, 70), np.uint8)
    numbers[0, :5] = range(5)
    with pytest.raises(InputError, match="there are 4 classes, the token pool marks 2"):
        learn(Support([Example(image, "0", label_map=numbers)]), "label-anything", pool=3, **SMALL)


def test_a_released_checkpoint_brings_its_encoder_size_and_behaviour(tmp_path):
    save_file(published(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED))
    convert_checkpoint("label-anything", tmp_path / "model.safetensors", tmp_path / "la.safetensors")
    task = learn(mixed_support(), "label-anything", checkpoint=tmp_path / "la.safetensors")
    assert task.method.settings.official
    assert task.weights["backbone"]["name"] == "checkpoint"
    answer = task.predict(picture(9)[0])
    task.save(tmp_path / "a.task")
    again = load(tmp_path / "a.task").predict(picture(9)[0])
    assert np.array_equal(answer.labels, again.labels)
    assert (tmp_path / "a.task").stat().st_size < (tmp_path / "la.safetensors").stat().st_size


def test_a_backbone_of_another_width_is_refused(tmp_path):
    task = learn(mixed_support(), "label-anything", **SMALL)
    save_file(dict(task.method._head.state_dict()), tmp_path / "head.safetensors")
    with pytest.raises(InputError, match="tokens of 48 channels, the backbone gives 36"):
        learn(mixed_support(), "label-anything", checkpoint=tmp_path / "head.safetensors", backbone="random:vit-tiny-8", side=80)


def test_a_checkpoint_is_needed():
    with pytest.raises(WeightsError, match="needs trained weights"):
        learn(mixed_support(), "label-anything", backbone="random:vit-tiny-14")
