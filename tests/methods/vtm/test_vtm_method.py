"""VTM behind the interface: tasks of any kind of label, files without the networks, windows, tuning inside `learn`."""

import numpy as np
import pytest
import torch
from test_vtm_checkpoint import official_names
from vtm_small import small_vtm

from likewise import learn, load
from likewise.data import Example, Support, Target
from likewise.errors import InputError, UsageError, WeightsError
from likewise.labelling.chosen import chosen_rows
from likewise.methods.vtm.checkpoint import converted
from likewise.weights import write_checkpoint

SETTINGS = {"label_heads": 5, "matching_heads": 2}


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A small model of 48 pixels as a converted checkpoint."""
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "small.safetensors"
    write_checkpoint(converted(official_names(small_vtm(), 4)), path)
    return path


def picture(seed, height=60, width=66):
    """Smooth noise with a bright half, so that brightness is something to learn."""
    random = np.random.default_rng(seed)
    small = random.uniform(0, 255, (6, 7, 3))
    return np.kron(small, np.ones((height // 6 + 1, width // 7 + 1, 1)))[:height, :width].astype(np.uint8)


def brightness(count=3, **shape):
    pixels = [picture(seed, **shape) for seed in range(count)]
    examples = [Example(image, f"{i}", dense={"light": image.mean(axis=2).astype(np.float32)}) for i, image in enumerate(pixels)]
    return Support(examples, targets={"light": Target(unit="grey")})


def test_a_task_file_holds_memory_and_biases_and_finds_the_networks_again(checkpoint, tmp_path):
    task = learn(brightness(), "vtm", checkpoint=checkpoint, **SETTINGS)
    task.save(tmp_path / "a.task", compact=True)
    assert {name.split(".")[1] for name in task.memory.tensors} == {"keys", "values", "biases"}
    assert not any("matching" in name or "decoder" in name or "qkv" in name for name in task.memory.tensors)
    loaded = load(tmp_path / "a.task")
    one, two = task.predict(picture(9)), loaded.predict(picture(9))
    assert np.array_equal(one.dense["light"], two.dense["light"])
    assert task.weights["backbone"]["name"] == "checkpoint"


def test_networks_that_moved_are_found_by_name_and_hash_or_said_to_be_missing(checkpoint, tmp_path, monkeypatch):
    learn(brightness(), "vtm", checkpoint=checkpoint, **SETTINGS).save(tmp_path / "a.task")
    other = tmp_path / "other"
    other.mkdir()
    checkpoint.rename(other / checkpoint.name)
    with pytest.raises(WeightsError, match=r"small\.safetensors .* is not here") as error:
        load(tmp_path / "a.task").predict(picture(9))
    assert "LIKEWISE_WEIGHTS" in error.value.remedy
    monkeypatch.setenv("LIKEWISE_WEIGHTS", str(other))
    assert load(tmp_path / "a.task").predict(picture(9)).dense["light"].shape == (60, 66)
    (other / checkpoint.name).write_bytes(b"something else")
    with pytest.raises(WeightsError, match="is not here"):
        load(tmp_path / "a.task").predict(picture(9))


def test_a_long_picture_is_seen_in_windows_and_a_nearly_square_one_as_a_whole(checkpoint):
    task = learn(brightness(), "vtm", checkpoint=checkpoint, **SETTINGS)
    tokens = 36
    assert task.memory.tensors["0.keys.0"].shape == (1, 3 * tokens, 36)
    assert task.working_shape((60, 66)) == (48, 48)
    long = learn(brightness(height=40, width=120), "vtm", checkpoint=checkpoint, **SETTINGS)
    assert long.working_shape((40, 120)) == (48, 144)
    assert long.memory.tensors["0.keys.0"].shape == (1, 3 * 4 * tokens, 36)
    assert long.predict(picture(9, 31, 140)).dense["light"].shape == (31, 140)


def test_official_is_a_square_of_8_7_and_its_middle_for_the_support(checkpoint):
    task = learn(brightness(), "vtm", checkpoint=checkpoint, official=True, **SETTINGS)
    assert task.working_shape((40, 120)) == (54, 54)
    assert task.memory.tensors["0.keys.0"].shape[1] == 3 * 36
    assert np.isfinite(task.predict(picture(9)).dense["light"]).all()


def test_several_targets_of_different_examples_have_a_memory_each(checkpoint):
    images = [picture(seed) for seed in range(3)]
    light = [image.mean(axis=2).astype(np.float32) for image in images]
    mask = (light[0] > 120).astype(np.uint8)
    support = Support(
        [
            Example(images[0], "0", dense={"light": light[0]}, label_map=mask),
            Example(images[1], "1", dense={"light": light[1], "n": np.dstack([light[1], light[2], light[0]]) + 1}),
            Example(images[2], "2", label_map=(light[2] > 120).astype(np.uint8)),
        ],
        classes={1: "bright"},
        targets={"light": Target(), "n": Target(kind="unit_vector")},
    )
    task = learn(support, "vtm", checkpoint=checkpoint, **SETTINGS)
    assert [part["channels"] for part in task.memory.facts["parts"]] == [[0], [1], [2, 3, 4]]
    assert [task.memory.tensors[f"{i}.keys.0"].shape[1] for i in range(3)] == [72, 72, 36]
    answer = task.predict(picture(9))
    assert answer.dense["n"].shape == (60, 66, 3)
    np.testing.assert_allclose(np.linalg.norm(answer.dense["n"], axis=2), 1, atol=1e-3)
    assert set(answer.present) == {"bright"}


def test_boxes_points_and_tags_are_learned_from_too(checkpoint):
    images = [picture(seed) for seed in range(3)]
    support = Support(
        [
            Example(images[0], "0", boxes={"a": [(5, 5, 30, 40)]}),
            Example(images[1], "1", points={"a": {"positive": [(20, 20)], "negative": [(50, 50)]}}),
            Example(images[2], "2", tags={"a": False}),
        ],
        classes={1: "a"},
    )
    answer = learn(support, "vtm", checkpoint=checkpoint, **SETTINGS).predict(picture(9))
    assert 0 <= answer.present["a"] <= 1


def test_memory_in_half_precision_is_half_as_large_and_nearly_the_same(checkpoint):
    whole, half = (learn(brightness(), "vtm", checkpoint=checkpoint, memory=kind, **SETTINGS) for kind in ("float32", "bfloat16"))
    assert half.memory.tensors["0.values.3"].dtype == torch.bfloat16
    one, two = (task.predict(picture(9)).dense["light"] for task in (whole, half))
    assert np.abs(one - two).mean() < 0.02 * np.ptp(one) + 0.5


def test_tuning_is_told_and_never_makes_the_held_out_error_worse(checkpoint):
    task = learn(brightness(4), "vtm", checkpoint=checkpoint, tune=True, tune_steps=6, tune_every=2, **SETTINGS)
    (told,) = task.memory.facts["tuned"]
    assert [step for step, _ in told["curve"]] == [0, 2, 4, 6]
    assert "6" in dict(chosen_rows(task.memory.facts))["tuned biases"]
    errors = dict(told["curve"])
    assert errors[told["best_step"]] == min(errors.values())
    plain = learn(brightness(4), "vtm", checkpoint=checkpoint, **SETTINGS)
    same = torch.equal(task.memory.tensors["0.keys.0"], plain.memory.tensors["0.keys.0"])
    assert same == (told["best_step"] == 0)


def test_one_example_is_not_tuned_on_but_warned_of(checkpoint):
    with pytest.warns(UserWarning, match="not tuned"):
        task = learn(brightness(1), "vtm", checkpoint=checkpoint, tune=True, **SETTINGS)
    assert "tuning" not in task.memory.facts["parts"][0]


def test_rows_of_a_checkpoint_may_be_chosen(checkpoint):
    one = learn(brightness(), "vtm", checkpoint=checkpoint, rows=(0,), **SETTINGS)
    two = learn(brightness(), "vtm", checkpoint=checkpoint, rows=(3,), **SETTINGS)
    assert not torch.equal(one.memory.tensors["0.keys.0"], two.memory.tensors["0.keys.0"])
    with pytest.raises(UsageError, match="rows"):
        learn(brightness(), "vtm", checkpoint=checkpoint, rows=(0, 1), **SETTINGS)


def test_a_backbone_that_does_not_fit_is_refused_and_one_beside_a_whole_checkpoint_too(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="its own image encoder"):
        learn(brightness(), "vtm", backbone="random:vit-tiny-14", checkpoint=checkpoint, **SETTINGS)
    with pytest.raises(InputError, match="3 blocks"):
        learn(brightness(), "vtm", backbone="random:vit-tiny-8", checkpoint="random")
    head = {name: tensor for name, tensor in converted(official_names(small_vtm(), 4)).items() if not name.startswith(("image.", "biases."))}
    write_checkpoint(head, tmp_path / "head.safetensors")
    with pytest.raises(InputError, match="reads tokens of 36 channels and patches of 8"):
        learn(brightness(), "vtm", backbone="random:vit-tiny-14", checkpoint=tmp_path / "head.safetensors", **SETTINGS)
    assert (
        learn(brightness(), "vtm", backbone="random:beit-tiny-8", checkpoint=tmp_path / "head.safetensors", **SETTINGS).weights["backbone"]["name"]
        == "random:beit-tiny-8"
    )


@pytest.mark.parametrize("wrong", [{"memory": "int8"}, {"reassembled": (1, 2)}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        learn(brightness(), "vtm", backbone="random:vit-tiny-14", checkpoint="random", **wrong)


def test_a_task_without_matching_keeps_one_row_and_answers_otherwise(checkpoint):
    plain, pooled = (learn(brightness(), "vtm", checkpoint=checkpoint, matching=name, **SETTINGS) for name in ("patch", "global"))
    assert pooled.memory.tensors["0.values.2"].shape[1] == 1
    one, two = (task.predict(picture(9)).dense["light"] for task in (plain, pooled))
    assert np.abs(one - two).max() > 1e-3 * np.ptp(one)


def test_a_dense_answer_is_trusted_by_the_left_out_error_and_less_the_stranger_the_picture(checkpoint):
    task = learn(brightness(), "vtm", checkpoint=checkpoint, **SETTINGS)
    told = task.left_out["light"]
    assert told["error"] > 0
    near, far = (task.predict(image).confidence for image in (picture(0), np.full_like(picture(0), 255)))
    assert 0 <= far < near < 1
    assert near == pytest.approx(max(0.0, 1 - told["error"] * 0.1), abs=1e-3)  # an example itself


def test_one_example_alone_has_a_left_out_error_too(checkpoint):
    assert learn(brightness(1), "vtm", checkpoint=checkpoint, **SETTINGS).left_out["light"]["error"] > 0
