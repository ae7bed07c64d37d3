"""Methods on features that are easy to part: each finds the object; folds never lose a class; dense values follow."""

from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from likewise.backbones.features import FeatureSpec, ImageFeatures
from likewise.data import Example, OutputKind, Support, Target
from likewise.errors import LikewiseError, UsageError
from likewise.methods import available, method_class
from likewise.methods.analogy.folds import FOLDS, image_folds, patch_folds
from likewise.methods.base import Method, Query
from likewise.methods.masked import MaskMethod
from likewise.methods.registry import Listed

GRID, SIZE = (9, 12), (90, 120)


def scene(seed, numbers=(1,), seen=0):
    """Features and label map of an image: class c's patches point along axis c, the ground along axis 0; the picture is noise, `seen` times c brighter."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(GRID, dtype=torch.long)
    for place, number in enumerate(numbers):
        top, left = int(torch.randint(0, 4, (), generator=generator)), 6 * place
        labels[top : top + 4, left : left + 4] = number
    tokens = torch.eye(8)[labels.reshape(-1)] + 0.1 * torch.randn(GRID[0] * GRID[1], 8, generator=generator)
    brightness = labels.float() * 10 + 5
    pixels = torch.randint(90, 130, (3, *SIZE), dtype=torch.uint8, generator=generator)
    pixels += seen * labels.to(torch.uint8).repeat_interleave(10, 0).repeat_interleave(10, 1)
    features = ImageFeatures(tokens.expand(4, -1, -1).half(), torch.zeros(4, 1, 8), GRID, SIZE, pixels=pixels)
    big = np.kron(labels.numpy(), np.ones((10, 10), np.int64)).astype(np.uint8)
    return features, big, np.kron(brightness.numpy(), np.ones((10, 10), np.float32))


def quick(name):
    """A method whose fitted read-outs, if it has any, take few steps."""
    kind = method_class(name)
    return kind(kind.Settings(pixel_steps=40)) if name == "analogy" else kind()


def features_for(method, scenes, memory=None):
    places = torch.eye(8)[:, -1:]  # along which no token of a scene points
    return {spec: [replace(item, positions=places) if spec.debias else item for item, *_ in scenes] for spec in method.wants(memory)}


# trained ones find nothing before they were trained, and class-attention is told no more of an example than what is in it
MASKS = [name for name in available() if OutputKind.MASKS in method_class(name).gives]
UNTRAINED = [name for name in MASKS if not method_class(name).trained and name != "class-attention"]


@pytest.mark.parametrize("name", UNTRAINED)
def test_every_method_finds_what_is_easy_to_find(name):
    seen = 50 if issubclass(method_class(name), MaskMethod) else 0  # the regions begin as parts of the picture
    scenes = [scene(0, (1, 2), seen), scene(1, (2, 1), seen), scene(2, (1, 2), seen)]
    support = Support([Example(np.zeros((*SIZE, 3), np.uint8), f"{i}", label_map=labels) for i, (_, labels, _) in enumerate(scenes)], classes={1: "a", 2: "b"})
    method = quick(name)
    memory = method.learn(support, features_for(method, scenes))
    query = scene(9, (1,), seen)
    (answer,) = method.predict([Query(SIZE)], features_for(method, [query], memory), memory)
    rows, columns = (np.arange(count) * side // count for count, side in zip(answer.logits.shape[1:], SIZE, strict=True))
    truth = torch.from_numpy(query[1][rows[:, None], columns].astype(np.int64))
    assert (answer.logits.argmax(0) == truth).float().mean() > 0.97
    assert answer.presence[0] > 0.5 > answer.presence[1]


@pytest.mark.parametrize("name", [name for name in UNTRAINED if OutputKind.DENSE in method_class(name).gives])
@pytest.mark.parametrize("kind", ["real", "log"])
def test_every_method_follows_a_dense_target(name, kind):
    scenes = [scene(0, (1, 2)), scene(1, (2, 1))]
    support = Support(
        [Example(np.zeros((*SIZE, 3), np.uint8), f"{i}", dense={"brightness": values}) for i, (*_, values) in enumerate(scenes)],
        targets={"brightness": Target(kind=kind)},
    )
    method = method_class(name)()
    memory = method.learn(support, features_for(method, scenes))
    query = scene(9, (1, 2))
    (answer,) = method.predict([Query(SIZE)], features_for(method, [query], memory), memory)
    found = answer.dense["brightness"][0]
    found = found.exp() if answer.links["brightness"] == "log" else found
    truth = torch.from_numpy(query[2][::10, ::10].copy())
    assert ((found - truth).abs() / truth).mean() < 0.12
    assert answer.logits is None


def test_a_logarithm_is_taken_where_relative_errors_ask_for_it():
    generator = torch.Generator().manual_seed(0)
    examples, features = [], []
    for index in range(3):
        tokens = torch.randn(108, 8, generator=generator)
        item = ImageFeatures(tokens.expand(4, -1, -1).half(), torch.zeros(4, 1, 8), GRID, SIZE)
        unit = torch.nn.functional.normalize(tokens, dim=1)
        values = torch.exp(4 * unit[:, 0]).reshape(GRID).numpy()
        examples.append(Example(np.zeros((*SIZE, 3), np.uint8), f"{index}", dense={"depth": np.kron(values, np.ones((10, 10), np.float32))}))
        features.append((item,))
    method = method_class("analogy")(method_class("analogy").Settings(sides=(448,)))
    memory = method.learn(Support(examples, targets={"depth": Target(unit="mm")}), features_for(method, features))
    assert memory.facts["links"] == {"depth": "log"}
    assert memory.facts["left_out"]["depth"]["error"] < 0.1


class TestFolds:
    def support(self, *shown):
        examples = []
        for index, numbers in enumerate(shown):
            label_map = np.zeros((20, 30), np.uint8)
            for number in numbers:
                label_map[number] = number
            examples.append(Example(np.zeros((20, 30, 3), np.uint8), f"{index}", label_map=label_map))
        return Support(examples, classes={n: f"c{n}" for n in range(1, 6)})

    @pytest.mark.parametrize("shown", [[(1,)], [(1,), (1,)], [(1,), (1, 2), (2,)], [(1,), (2,), (3,)], [(1, 2), (1, 2), (2, 3), (3,), (1,), ()]])
    def test_no_fold_takes_all_examples_of_a_class(self, shown):
        found = image_folds(self.support(*shown))
        for fold in range(FOLDS):
            rest = {n for numbers, own in zip(shown, found, strict=True) if own != fold for n in numbers}
            assert rest == {n for numbers in shown for n in numbers}

    def test_the_only_image_of_a_class_is_left_out_in_blocks(self):
        assert image_folds(self.support((1,), (1,), (2,)))[2] is None
        assert image_folds(self.support((1,))) == [None]

    def test_two_images_of_a_class_are_left_out_one_by_one(self):
        one, two = image_folds(self.support((1,), (1,)))
        assert None not in (one, two)
        assert one != two

    def test_blocks_cover_every_patch_and_use_every_fold(self):
        folds = patch_folds((9, 13), None)
        assert folds.shape == (117,)
        assert torch.unique(folds).tolist() == list(range(FOLDS))
        assert folds.bincount().min() > 117 / FOLDS / 2


class TestRegistry:
    def test_a_name_claimed_twice_is_an_error(self, monkeypatch):
        from likewise.methods import registry

        monkeypatch.setattr(registry, "TABLE", (*registry.TABLE, Listed("ridge", "somewhere:Else", "", "")))
        with pytest.raises(LikewiseError, match=r"ridge.*somewhere:Else|somewhere:Else.*ridge"):
            available()

    def test_an_unknown_name_is_answered_with_the_closest(self):
        with pytest.raises(UsageError, match="did you mean 'nearest'"):
            method_class("neerest")

    def test_every_row_leads_to_a_method_of_that_name_with_a_line_and_a_paper(self):
        for name, row in available().items():
            assert method_class(name).name == name
            assert row.line
            assert row.paper

    def test_a_class_is_registered_by_its_name_and_again_after_an_edit(self, joined):
        one, two = own_method("own"), own_method("own")
        assert joined.register(one, "a line", "a paper") is one
        assert (available()["own"].line, method_class("own")) == ("a line", one)
        joined.register(two)
        assert method_class("own") is two

    def test_a_registered_class_takes_no_name_that_is_taken(self, joined):
        with pytest.raises(UsageError, match="already a method 'ridge'"):
            joined.register(own_method("ridge"))
        assert method_class("ridge").__name__ == "RidgeBaseline"

    @pytest.mark.parametrize(("kind", "words"), [(dict, "no method"), ("ridge", "no method"), (Method, "called None")])
    def test_what_is_no_method_is_not_registered(self, joined, kind, words):
        with pytest.raises(UsageError, match=words):
            joined.register(kind)

    @pytest.mark.parametrize(
        ("place", "words"),
        [
            ("likewise.nowhere:Else", "cannot be loaded.*nowhere"),
            ("likewise.methods.ridge:Else", "cannot be loaded.*Else"),
            ("likewise.methods.ridge:ridge", "no method"),
            ("likewise.methods.ridge:RidgeBaseline", "called 'ridge' in its class and 'own'"),
        ],
    )
    def test_a_package_with_a_broken_entry_point_is_named(self, monkeypatch, place, words):
        from likewise.methods import registry

        point = EntryPoint("own", place, "likewise.methods")
        monkeypatch.setattr(registry, "entry_points", lambda group: [point])
        assert "own" in available()
        with pytest.raises(UsageError, match=words):
            method_class("own")


@pytest.fixture
def joined(monkeypatch):
    """The registry; what is registered in a test is forgotten after it."""
    from likewise.methods import registry

    monkeypatch.setattr(registry, "_REGISTERED", {})
    return registry


def own_method(called):
    return type("Own", (method_class("prototype"),), {"name": called})


def test_presets_are_settings_and_unknown_ones_are_named():
    kind = method_class("analogy").Settings
    assert kind.preset("fast").sides == (448,)
    assert kind.preset("fast").readouts == ("tokens",)
    assert kind.preset("default").sides == ()
    assert set(kind.preset("default").readouts) < set(kind.preset("best").readouts)
    assert kind().changed(sides=[224]).sides == (224,)
    with pytest.raises(UsageError, match="did you mean 'sides'"):
        kind().changed(side=3)
    assert isinstance(method_class("analogy")().wants()[0], FeatureSpec)
