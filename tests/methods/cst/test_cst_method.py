"""CST as a method: which (class, image) pairs a support gives, what their masks are made of, and how shots are joined."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import likewise
from likewise import Example, Support
from likewise.errors import InputError, UsageError, WeightsError
from likewise.functional.resize import resize_corners
from likewise.layers.correlation import unit_query
from likewise.methods.cst.enhancer import new_enhancer
from likewise.methods.cst.model import PairSupport, untrained
from likewise.testing.conformance import picture

pytestmark = pytest.mark.filterwarnings("ignore:no example shows")

CHANNELS = 4 * 3  # of random:vit-tiny-14
TINY = {"method": "cst", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168}


def example(index, numbers=(1, 2), **labels):
    pixels, drawn = picture(index, 70 + 9 * index, 100 - 7 * index)
    return Example(pixels, f"e{index}", label_map=np.where(np.isin(drawn, numbers), drawn, 0).astype(np.uint8), **labels)


def tagged(index, **tags):
    return Example(picture(index, 70 + 9 * index, 100 - 7 * index)[0], f"e{index}", tags=tags)


def learned(*examples, checkpoint="random", **settings):
    return likewise.learn(Support(examples, classes={1: "red", 2: "green"}), checkpoint=checkpoint, **TINY, **settings)


def pairs(task):
    names = [example.name for example in task.support.examples]
    used = [name for index, name in enumerate(names) if any(task.support.examples[index].labels.present(number) for number in task.classes)]
    tensors = task.memory.tensors
    return [(place + 1, used[image]) for place, image in zip(tensors["pair_class"].tolist(), tensors["pair_image"].tolist(), strict=True)]


def test_an_image_makes_a_pair_with_each_class_that_it_shows():
    task = learned(example(0), example(1, (2,)), example(2, ()), example(3, (2,)))
    assert pairs(task) == [(1, "e0"), (2, "e0"), (2, "e1"), (2, "e3")]
    assert task.memory.tensors["tokens"].shape == (3, 4, 3, 145, 16)
    assert task.memory.tensors["hidden.0"].shape == (4, 144)


def test_the_pixels_of_another_class_are_outside_the_mask():
    both = learned(example(0))
    red = learned(example(0, (1,)))
    hidden = both.memory.tensors["hidden.0"]
    assert torch.equal(hidden[0], red.memory.tensors["hidden.0"][0])
    assert not torch.equal(hidden[0], hidden[1])


def test_the_points_of_the_square_that_the_mask_touches_are_visible():
    mask = np.zeros((168, 168), np.uint8)
    mask[:84] = 1
    support = Support([Example(np.zeros((168, 168, 3), np.uint8), "a", label_map=mask)], classes={1: "red"})
    hidden = likewise.learn(support, checkpoint="random", **TINY).memory.tensors["hidden.0"].reshape(12, 12)
    assert not hidden[:6].any()
    assert hidden[6:].all()


def test_tags_become_pseudo_masks_and_tags_of_absence_no_pair():
    task = learned(tagged(0, red=True), tagged(1, green=True, red=False))
    assert pairs(task) == [(1, "e0"), (2, "e1")]
    pseudo = learned(example(0, (1,)), example(1, (2,)), support="pseudo")
    assert torch.equal(task.memory.tensors["hidden.0"], pseudo.memory.tensors["hidden.0"])
    masked = learned(example(0, (1,)), example(1, (2,)))
    assert not torch.equal(masked.memory.tensors["hidden.0"], pseudo.memory.tensors["hidden.0"])


def test_the_pseudo_mask_of_tags_is_made_as_the_settings_say():
    found = {pseudo: learned(tagged(0, red=True, green=True), pseudo=pseudo).memory.tensors["hidden.0"] for pseudo in ("attention", "tokens", "walk")}
    assert not torch.equal(found["attention"], found["walk"])
    assert not torch.equal(found["tokens"], found["walk"])
    assert 0 < found["walk"][0].float().mean() < 1
    with pytest.raises(UsageError, match="walk"):
        learned(tagged(0, red=True, green=True), pseudo="run")


def test_another_backbone_may_make_the_pseudo_masks(tmp_path):
    other = "random:vit-tiny-8"
    task = learned(tagged(0, red=True), tagged(1, red=True), pseudo_backbone=other)
    theirs = likewise.learn(task.support, checkpoint="random", **(TINY | {"backbone": other}))
    own = learned(tagged(0, red=True), tagged(1, red=True))
    assert torch.equal(task.memory.tensors["hidden.0"], theirs.memory.tensors["hidden.0"])
    assert not torch.equal(task.memory.tensors["hidden.0"], own.memory.tensors["hidden.0"])
    assert torch.equal(task.memory.tensors["tokens"], own.memory.tensors["tokens"])
    assert f"backbone {other}" in task.weights
    assert [spec.backbone for spec in task.method.wants(task.memory)] == [""]  # a query needs the task's own alone
    opened = likewise.load(task.save(tmp_path / "a.task"), device="cpu", engine="torch", precision="float32")
    opened.update(Support([tagged(2, green=True)], classes={1: "red", 2: "green"}))
    anew = learned(tagged(0, red=True), tagged(1, red=True), tagged(2, green=True), pseudo_backbone=other)
    assert torch.equal(opened.memory.tensors["hidden.0"], anew.memory.tensors["hidden.0"])


def test_masks_and_tags_may_be_mixed():
    mixed = learned(example(0, (1,)), tagged(1, red=True, green=True)).memory.tensors["hidden.0"]
    assert torch.equal(mixed[0], learned(example(0, (1,))).memory.tensors["hidden.0"][0])
    assert torch.equal(mixed[1], learned(tagged(1, red=True)).memory.tensors["hidden.0"][0])
    assert torch.equal(mixed[1], mixed[2])


def test_a_box_shows_tokens_inside_it_and_none_outside():
    pixels, _ = picture(0, 168, 168)
    support = Support([Example(pixels, "a", boxes={"red": [(0, 0, 84, 84)]}), example(1, (1,))], classes={1: "red", 2: "green"})
    hidden = likewise.learn(support, checkpoint="random", **TINY).memory.tensors["hidden.0"][0].reshape(12, 12)
    assert not hidden[:6, :6].all()
    assert hidden[7:].all()
    assert hidden[:, 7:].all()


def test_without_masks_every_token_is_visible():
    assert not learned(example(0), support="none").memory.tensors["hidden.0"].any()


@pytest.mark.parametrize(("source", "threshold"), [("attention", 0.52), ("tokens", 0.91)])
def test_pseudo_masks_are_where_the_class_token_finds_its_like(source, threshold):
    task = learned(tagged(0, red=True), tagged(1, red=True, green=True), pseudo=source, threshold=threshold)
    for place, features in enumerate(item[task.method.wants()[0]] for item in task.kept):
        if source == "tokens":
            likes, first = features.tokens[-1].float()[None], features.prefix[-1, :1].float()
        else:
            likes, first = features.k.float(), features.prefix_qk[0, :, 0].float()
        cosines = torch.cosine_similarity(likes, first[:, None], dim=-1).mean(0).reshape(1, *features.grid)
        mask = (resize_corners(cosines, (168, 168)) + 1) / 2 > threshold
        hidden = task.memory.tensors["hidden.0"][place]
        assert torch.equal(hidden, untrained(CHANNELS).hidden(mask.float())[0][0])
        assert hidden.any()
        assert not hidden.all()


def test_an_enhancer_in_the_checkpoint_makes_the_pseudo_masks(tmp_path):
    enhancer = new_enhancer(heads=3)
    with torch.no_grad():
        enhancer.layers[4].weight.zero_()
        enhancer.layers[4].bias.fill_(-1)  # nothing is object
    tensors = untrained(CHANNELS).state_dict() | {f"enhancer.{name}": tensor for name, tensor in enhancer.state_dict().items()}
    save_file(tensors, tmp_path / "cst.safetensors")
    task = learned(tagged(0, red=True), example(1, (2,)), checkpoint=tmp_path / "cst.safetensors")
    assert task.memory.tensors["hidden.0"][0].all()
    assert not task.memory.tensors["hidden.0"][1].all()


def test_correlations_of_whole_tokens_take_one_map_a_layer():
    task = learned(example(0), many_heads=False)
    assert task.memory.tensors["checkpoint.corrtransformer.0.attn.qkv.weight"].shape[1] == 4
    assert task.predict(picture(7, 40, 60)[0]).size == (40, 60)


@pytest.mark.parametrize("official", [True, False])
def test_shots_are_averaged_class_by_class_however_many_there_are(official):
    task = learned(example(0), example(1, (1,)), example(2, (1,)), official=official)
    query = picture(7, 60, 90)[0]
    prediction = task.predict(query)
    (features,) = task.ready().extract([task.prepare(query)], task.method.wants()[0])
    learner, tensors = untrained(CHANNELS), task.memory.tensors
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


def test_the_published_answer_draws_a_class_that_it_calls_absent():
    tensors = dict(untrained(CHANNELS).state_dict())
    tensors["decoder2_cls.2.bias"] = torch.tensor([9.0, 0.0])  # never there
    tensors["decoder2_seg.2.bias"] = torch.tensor([0.0, 9.0])  # everywhere
    query = picture(7, 40, 60)[0]
    for official, drawn in ((True, True), (False, False)):
        task = learned(example(0))
        method = type(task.method)(task.method.settings.changed(official=official))
        memory = type(task.memory)({**task.memory.tensors, **{f"checkpoint.{name}": tensor for name, tensor in tensors.items()}}, task.memory.facts)
        task.method, task.memory = method, memory
        prediction = task.predict(query)
        assert max(prediction.present.values()) < 0.5
        assert prediction.labels.any() == drawn


def test_pairs_at_once_change_memory_and_not_the_answer():
    query = picture(7, 60, 90)[0]
    one, all_at_once = (learned(example(0), example(1), pairs=count, tile=tile).predict(query) for count, tile in ((1, 512), (4, 13)))
    assert np.abs(one.scores - all_at_once.scores).max() < 1e-4


def test_the_task_file_carries_the_trained_tensors(tmp_path):
    save_file(untrained(CHANNELS, seed=5).state_dict(), tmp_path / "cst.safetensors")
    task = learned(example(0), example(1), checkpoint=tmp_path / "cst.safetensors")
    assert task.weights["checkpoint"]["name"] == "cst.safetensors"
    query = picture(7, 60, 90)[0]
    expected = task.predict(query)
    task.save(tmp_path / "a.task")
    (tmp_path / "cst.safetensors").unlink()
    again = likewise.load(tmp_path / "a.task", device="cpu", engine="torch", precision="float32")
    assert again.predict(query).present == expected.present
    shrunk = again.forget(["e1"])
    kept = shrunk.memory.tensors["checkpoint.linear.0.weight"]
    assert len(shrunk.memory.tensors["tokens"]) == 1
    assert torch.equal(kept, untrained(CHANNELS, seed=5).state_dict()["linear.0.weight"])


def test_a_folder_that_was_saved_by_the_conventions_of_the_hub_is_a_checkpoint(tmp_path):
    untrained(CHANNELS, seed=3).save_pretrained(tmp_path / "mine")
    task = learned(example(0), checkpoint=tmp_path / "mine")
    assert torch.equal(task.memory.tensors["checkpoint.linear.0.weight"], untrained(CHANNELS, seed=3).state_dict()["linear.0.weight"])


class TestWhatIsRefused:
    def test_no_checkpoint_and_no_word_that_none_is_wanted(self):
        with pytest.raises(WeightsError, match="needs trained weights"):
            learned(example(0), checkpoint=None)

    def test_a_checkpoint_for_a_method_without(self):
        with pytest.raises(UsageError, match="'ridge' has no checkpoint"):
            likewise.learn(Support([example(0)]), checkpoint="random", **{**TINY, "method": "ridge"})

    def test_a_checkpoint_of_another_backbone(self, tmp_path):
        save_file(untrained(72).state_dict(), tmp_path / "cst.safetensors")
        with pytest.raises(InputError, match="reads 72 maps of correlations, the backbone gives 12"):
            learned(example(0), checkpoint=tmp_path / "cst.safetensors")

    def test_a_checkpoint_of_another_method(self, tmp_path):
        save_file({"encoder.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
        with pytest.raises(WeightsError, match="no checkpoint of CST"):
            learned(example(0), checkpoint=tmp_path / "other.safetensors")

    def test_a_file_that_is_not_there_or_not_converted(self, tmp_path):
        (tmp_path / "best.ckpt").write_bytes(b"x")
        for name, words in (("none.safetensors", "not there"), ("best.ckpt", "likewise weights convert")):
            with pytest.raises(WeightsError, match=words):
                learned(example(0), checkpoint=tmp_path / name)

    def test_a_setting_that_does_not_exist(self):
        with pytest.raises(UsageError, match="auto, pseudo, none"):
            learned(example(0), support="mask")
