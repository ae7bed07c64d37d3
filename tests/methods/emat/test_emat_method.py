"""EMAT as a method: which (class, image) pairs a support gives, what their masks are made of, how shots are joined, which checkpoints are read."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import likewise
from likewise import Example, Support
from likewise.errors import InputError, UsageError, WeightsError
from likewise.functional.resize import resize_corners
from likewise.layers.correlation import unit_query
from likewise.layers.correlation_transformer import PairSupport
from likewise.methods import method_class
from likewise.methods.convert import convert_checkpoint
from likewise.methods.emat.model import untrained
from likewise.testing.conformance import picture

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

CHANNELS = 4 * 3  # of random:vit-tiny-14
TINY = {"method": "emat", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168}


def example(index, numbers=(1, 2), **labels):
    pixels, drawn = picture(index, 70 + 9 * index, 100 - 7 * index)
    return Example(pixels, f"e{index}", label_map=np.where(np.isin(drawn, numbers), drawn, 0).astype(np.uint8), **labels)


def learned(*examples, checkpoint="random", **settings):
    return likewise.learn(Support(examples, classes={1: "red", 2: "green"}), checkpoint=checkpoint, **TINY, **settings)


def visible(task, level=0):
    return ~task.memory.tensors[f"hidden.{level}"]


def test_an_image_makes_a_pair_with_each_class_that_it_shows():
    task = learned(example(0), example(1, (2,)), example(2, ()), example(3, (2,)))
    tensors = task.memory.tensors
    assert tensors["pair_class"].tolist() == [0, 1, 1, 1]
    assert tensors["pair_image"].tolist() == [0, 0, 1, 2]
    assert tensors["tokens"].shape == (3, 4, 3, 401, 16)
    assert tensors["hidden.0"].shape == (4, 400)
    assert tensors["hidden.1"].shape == (4, 100)


def test_the_tokens_that_a_mask_touches_are_visible_and_those_of_another_class_are_not():
    mask = np.zeros((168, 168), np.uint8)
    mask[:84], mask[84:] = 1, 2
    support = Support([Example(np.zeros((168, 168, 3), np.uint8), "a", label_map=mask)], classes={1: "red", 2: "green"})
    upper, lower = visible(likewise.learn(support, checkpoint="random", **TINY)).reshape(2, 20, 20)
    assert upper[:10].all()
    assert not upper[10:].any()
    assert lower[10:].all()
    assert not lower[:10].any()


def test_a_box_shows_tokens_inside_it_and_none_outside():
    pixels, _ = picture(0, 168, 168)
    support = Support([Example(pixels, "a", boxes={"red": [(0, 0, 84, 84)]}), example(1, (1,))], classes={1: "red", 2: "green"})
    seen = visible(likewise.learn(support, checkpoint="random", **TINY))[0].reshape(20, 20)
    assert seen[:10, :10].any()
    assert not seen[11:].any()
    assert not seen[:, 11:].any()


def test_a_tag_or_a_point_shows_some_tokens_and_not_all():
    pixels, _ = picture(0, 168, 168)
    for labels in ({"tags": {"red": True}}, {"points": {"red": {"positive": [(40, 40)], "negative": []}}}):
        task = likewise.learn(Support([Example(pixels, "a", **labels), example(1, (2,))], classes={1: "red", 2: "green"}), checkpoint="random", **TINY)
        assert 0 < visible(task)[0].float().mean() < 1


@pytest.mark.parametrize("official", [True, False])
@pytest.mark.parametrize("class_token", [True, False])
def test_shots_are_averaged_class_by_class_however_many_there_are(official, class_token):
    task = learned(example(0), example(1, (1,)), example(2, (1,)), official=official, class_token=class_token)
    query = picture(7, 60, 90)[0]
    prediction = task.predict(query)
    (features,) = task.ready().extract([task.prepare(query)], task.method.wants()[0])
    learner, tensors = untrained(CHANNELS, class_token=class_token), task.memory.tensors
    images = tensors["pair_image"]
    with torch.no_grad():
        mine = unit_query(features.tokens[None].float(), 3).expand(len(images), -1, -1, -1, -1)
        classes, masks = learner.pairs(mine, PairSupport(tensors["tokens"][images], (tensors["hidden.0"], tensors["hidden.1"])), features.grid)
    present = torch.softmax(classes, 1)[:, 1]
    assert prediction.present["red"] == pytest.approx(float(present[tensors["pair_class"] == 0].mean()), abs=1e-4)
    assert prediction.present["green"] == pytest.approx(float(present[tensors["pair_class"] == 1].mean()), abs=1e-4)
    full = torch.softmax(resize_corners(masks, (60, 90)), 1)[:, 1]
    means = torch.stack([full[tensors["pair_class"] == place].mean(0) for place in (0, 1)])
    odds = prediction.scores[1:] / prediction.scores[0]
    tolerance = 1e-3 if official else 0.02  # without, the mean over shots is taken before the map is enlarged
    assert np.abs(odds / (1 + odds) - means.numpy()).max() < tolerance
    if official:
        best, which = means.max(0)
        expected = torch.where(best < 0.5, 0, which + 1).numpy()
        assert (prediction.labels == expected).mean() > 0.999


def test_the_published_answer_draws_a_class_that_it_calls_absent(tmp_path):
    tensors = dict(untrained(CHANNELS).state_dict())
    tensors["decoder2_cls.2.bias"] = torch.tensor([9.0, 0.0])  # never there
    tensors["decoder2_seg.2.bias"] = torch.tensor([0.0, 9.0])  # everywhere
    save_file(tensors, tmp_path / "emat.safetensors")
    for official, drawn in ((True, True), (False, False)):
        prediction = learned(example(0), checkpoint=tmp_path / "emat.safetensors", official=official).predict(picture(7, 40, 60)[0])
        assert max(prediction.present.values()) < 0.5
        assert prediction.labels.any() == drawn


def test_pairs_at_once_change_memory_and_not_the_answer():
    query = picture(7, 60, 90)[0]
    one, all_at_once = (learned(example(0), example(1), pairs=count, tile=tile).predict(query) for count, tile in ((1, 512), (4, 13)))
    assert np.abs(one.scores - all_at_once.scores).max() < 1e-4


def test_the_task_file_carries_the_trained_tensors(tmp_path):
    save_file(untrained(CHANNELS, seed=5).state_dict(), tmp_path / "emat.safetensors")
    task = learned(example(0), example(1), checkpoint=tmp_path / "emat.safetensors")
    query = picture(7, 60, 90)[0]
    expected = task.predict(query)
    task.save(tmp_path / "a.task")
    (tmp_path / "emat.safetensors").unlink()
    again = likewise.load(tmp_path / "a.task", device="cpu", engine="torch", precision="float32")
    assert again.predict(query).present == expected.present


class TestPublishedCheckpoints:
    def lightning(self, folder, learner, *, patch=14):
        state = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
        state |= {"backbone.patch_embed.proj.weight": torch.zeros(384, 3, patch, patch), "backbone.mask_token": torch.zeros(1, 384)}
        torch.save({"state_dict": state, "epoch": 79, "pytorch-lightning_version": "1.9.0"}, folder / "best.ckpt")
        return folder / "best.ckpt"

    @pytest.mark.parametrize("class_token", [True, False])
    def test_a_lightning_file_becomes_the_learner_with_settings_and_backbone_on_its_card(self, tmp_path, class_token):
        learner = untrained(seed=3, class_token=class_token)
        out = tmp_path / "emat.safetensors"
        convert_checkpoint("emat", self.lightning(tmp_path, learner), out)
        assert {name: tensor.tolist() for name, tensor in load_file(out).items()} == {name: tensor.tolist() for name, tensor in learner.state_dict().items()}
        with safe_open(out, framework="pt") as archive:
            card = json.loads(archive.metadata()["likewise"])
        assert card["backbone"] == {"name": "dinov2-small"}
        assert card["settings"] == {"side": 700, "square": 20, "pools": [0, 5]}

    def test_another_backbone_is_not_called_the_published_one(self, tmp_path):
        convert_checkpoint("emat", self.lightning(tmp_path, untrained(), patch=8), tmp_path / "a.safetensors")
        with safe_open(tmp_path / "a.safetensors", framework="pt") as archive:
            assert json.loads(archive.metadata()["likewise"])["backbone"] == {}

    def test_a_checkpoint_of_cst_is_refused(self, tmp_path):
        from likewise.methods.cst.model import untrained as cst

        with pytest.raises(WeightsError, match="no checkpoint of EMAT"):
            convert_checkpoint("emat", self.lightning(tmp_path, cst()), tmp_path / "a.safetensors")


class TestWhatIsRefused:
    def test_no_checkpoint_and_no_word_that_none_is_wanted(self):
        with pytest.raises(WeightsError, match="needs trained weights"):
            learned(example(0), checkpoint=None)

    def test_a_checkpoint_of_another_backbone(self, tmp_path):
        save_file(untrained(72).state_dict(), tmp_path / "emat.safetensors")
        with pytest.raises(InputError, match="reads 72 maps of correlations, the backbone gives 12"):
            learned(example(0), checkpoint=tmp_path / "emat.safetensors")

    def test_squares_that_do_not_end_in_one_token(self):
        with pytest.raises(UsageError, match="18x18"):
            method_class("emat")(method_class("emat").Settings(square=18))
