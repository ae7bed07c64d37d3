"""Pixel classification as a method: on tokens, on filters, on a VGG-16 that is given; the training table."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import likewise
from likewise.backbones.features import ImageFeatures
from likewise.data import Example, Support
from likewise.errors import UsageError, WeightsError
from likewise.methods.convpaint import Convpaint, ConvpaintSettings
from likewise.methods.convpaint.forest import answers
from likewise.methods.convpaint.rows import labels_of, table
from likewise.methods.prompts import PatchLabels
from likewise.testing.conformance import picture

TOKENS = {"method": "convpaint", "backbone": "random:vit-tiny-14", "device": "cpu", "engine": "torch", "precision": "float32", "side": 168, "trees": 20}
PIXELS = {"method": "convpaint", "device": "cpu", "side": 96, "trees": 20}
CLASSES = {1: "red", 2: "green"}


def support(count=3, **values):
    sizes = ((90, 120), (120, 90), (75, 133))
    shown = [picture(index, *sizes[index]) for index in range(count)]
    return Support([Example(pixels, str(index), label_map=labels, **values) for index, (pixels, labels) in enumerate(shown)], classes=CLASSES)


def vgg_file(folder, missing=()):
    generator = torch.Generator().manual_seed(0)
    shapes = {"features.0": (6, 3, 3, 3), "features.2": (5, 6, 3, 3)}
    tensors = {f"{name}.weight": torch.randn(shape, generator=generator) / 4 for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    save_file({name: tensor for name, tensor in tensors.items() if name not in missing}, folder / "vgg.safetensors")
    return str(folder / "vgg.safetensors")


def test_on_filters_coloured_squares_are_found_to_the_pixel_without_any_weights():
    task = likewise.learn(support(), features="filters", **PIXELS)
    pixels, labels = picture(7, 101, 67)
    found = task.predict(pixels).labels
    assert (found == labels).mean() > 0.97
    assert task.weights["backbone"]["name"] == "none"


def test_the_layers_of_a_vgg_are_kept_with_what_was_learned(tmp_path):
    path = vgg_file(tmp_path)
    task = likewise.learn(support(), features=path, layers=(0, 2), scales=(1, 2), **PIXELS)
    assert {name for name in task.memory.tensors if name.startswith("vgg.")} == {f"vgg.features.{n}.{kind}" for n in (0, 2) for kind in ("weight", "bias")}
    pixels, labels = picture(7, 101, 67)
    task.save(tmp_path / "a.task")
    (tmp_path / "vgg.safetensors").unlink()
    found = likewise.load(tmp_path / "a.task", device="cpu").predict(pixels).labels
    assert np.array_equal(found, task.predict(pixels).labels)
    assert (found == labels).mean() > 0.95


def test_what_is_no_vgg_is_refused_before_any_work(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        likewise.learn(support(), features=str(tmp_path / "no.safetensors"), **PIXELS)
    with pytest.raises(WeightsError, match=r"features\.2\.bias"):
        likewise.learn(support(), features=vgg_file(tmp_path, missing=("features.2.bias",)), layers=(2,), **PIXELS)
    with pytest.raises(UsageError, match="no convolution"):
        likewise.learn(support(), features=vgg_file(tmp_path), layers=(1,), **PIXELS)


@pytest.mark.parametrize("official", [False, True])
def test_probabilities_of_tokens_are_enlarged_before_the_largest_wins(official):
    task = likewise.learn(support(), official=official, **TOKENS)
    pixels = picture(7, 168, 168)[0]
    (spec,) = task.method.wants()
    (item,) = task.ready().extract([task.prepare(pixels)], spec)
    said = answers(item.tokens[-1].float(), task.memory.tensors).T.reshape(3, 12, 12)
    (raw,) = task.method.predict([None], {spec: [item]}, task.memory)
    assert raw.logits.shape == (3, 168, 168)
    inner = raw.logits.exp()[:, 7 + 14 * 3, 7 + 14 * 4]  # a pixel beside the middle of the patch (3, 4)
    near = said[:, 3, 4] * (1 - 1 / 28) ** 2 + (said[:, 4, 4] + said[:, 3, 5]) * (1 - 1 / 28) / 28 + said[:, 4, 5] / 28**2
    torch.testing.assert_close(inner, near.clamp_min(1e-4), atol=1e-4, rtol=1e-3)
    corner = raw.logits.exp()[:, 0, 0]
    part = 6.5 / 14 if official else 0.0
    mixed = said[:, 0, 0] * (1 - part) ** 2 + (said[:, 1, 0] + said[:, 0, 1]) * part * (1 - part) + said[:, 1, 1] * part**2
    torch.testing.assert_close(corner, mixed.clamp_min(1e-4), atol=1e-4, rtol=1e-3)


class TestTable:
    items = tuple(ImageFeatures(torch.arange(24.0).reshape(1, 12, 2) + 100 * index, torch.zeros(0), (3, 4), (30, 40)) for index in (0, 1))

    def labels(self, *places):
        shares = torch.nn.functional.one_hot(torch.tensor(places), 3).float()
        return PatchLabels(shares, torch.ones(len(places)))

    def test_every_labelled_patch_is_a_row_for_each_class_it_shows(self):
        one, two = self.labels(*[0] * 12), self.labels(*[2] * 12)
        one.shares[4] = torch.tensor([0.25, 0.0, 0.75])
        two.weight[:11] = 0
        rows, places, weight = table(self.items, [one, two], 1000)
        assert places.tolist() == [0] * 12 + [2, 2]
        assert rows[-2:].tolist() == [[8, 9], [122, 123]]
        assert weight[[4, 12, 13]].tolist() == [0.25, 0.75, 1.0]

    def test_beyond_the_budget_each_class_has_an_equal_part_and_its_weight(self):
        one, two = self.labels(*[0] * 10, 2, 2), self.labels(*[0] * 12)
        rows, places, weight = table(self.items, [one, two], 8)
        assert torch.bincount(places).tolist() == [4, 0, 2]
        assert float(weight[places == 0].sum()) == pytest.approx(22)
        assert rows[places == 2].tolist() == [[20, 21], [22, 23]]

    def test_where_classes_weigh_the_same_their_weights_have_one_sum_and_rows_of_a_class_keep_their_ratio(self):
        one, two = self.labels(*[0] * 10, 2, 2), self.labels(*[0] * 12)
        one.shares[4] = torch.tensor([0.25, 0.0, 0.75])
        plain, even = table(self.items, [one, two], 1000), table(self.items, [one, two], 1000, even=True)
        torch.testing.assert_close(even[0], plain[0])
        for place in (0, 2):
            own = plain[1] == place
            assert float(even[2][own].sum()) == pytest.approx(12)
            torch.testing.assert_close(even[2][own] / even[2][own][0], plain[2][own] / plain[2][own][0])


class TestLabels:
    def item(self, side):
        generator = torch.Generator().manual_seed(2)
        return ImageFeatures(torch.randn(1, side * side, 4, generator=generator), torch.zeros(0), (side, side), (200, 200))

    def map(self, **places):
        labels = np.zeros((200, 200), np.uint8)
        labels[20:101, 40:59] = 1
        return labels

    def test_masks_are_read_pixel_by_pixel(self):
        labels = self.map()
        labels[150:] = 255
        (found,) = labels_of(Support([Example(np.zeros((200, 200, 3), np.uint8), "a", label_map=labels)], classes={1: "a"}), [self.item(200)])
        assert torch.equal(found.shares[:, 1].reshape(200, 200)[:150], torch.from_numpy(labels[:150] == 1).float())
        assert torch.equal(found.weight.reshape(200, 200) > 0, torch.from_numpy(labels != 255))

    def test_where_nothing_is_background_some_is_borrowed(self):
        labels = np.where(self.map() == 1, 1, 255).astype(np.uint8)
        unknown = [Example(np.zeros((200, 200, 3), np.uint8), "a", masks={"a": labels == 1}, unlabelled="unknown")]
        (found,) = labels_of(Support(unknown), [self.item(200)])
        assert (found.shares[:, 0] * found.weight).sum() > 0
        assert (found.shares[:, 1] * found.weight).sum() > 0

    def test_boxes_come_from_coarser_cells(self):
        boxed = [Example(np.zeros((200, 200, 3), np.uint8), "a", boxes={"a": [(40, 20, 100, 120)]})]
        (found,) = labels_of(Support(boxed), [self.item(200)])
        assert found.shares.shape == (40_000, 2)
        inside = found.shares[:, 1].reshape(200, 200)
        assert inside[:18].sum() == 0
        assert inside.sum() > 0


def test_a_setting_of_another_kind_is_refused():
    with pytest.raises(UsageError, match="scales"):
        ConvpaintSettings().changed(scales=2)
    assert Convpaint(ConvpaintSettings(features="filters")).wants()[0].backbone is None
