"""The default method as it is used: what it chooses, what it asks for, and every kind of label it can be given."""

import numpy as np
import pytest
import torch

from likewise.data import Example, Support
from likewise.methods import method_class
from likewise.methods.analogy import READOUTS, conv, pixel
from likewise.task import learn
from likewise.testing.conformance import BACKBONE, picture

SMALL = {"sides": (112,), "pixels": 256, "pixel_steps": 30, "conv_steps": 10}
SIZES = ((90, 120), (120, 90), (75, 133))


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    """So few pixels and so small crops that a read-out is fitted in a moment on one thread."""
    for module, name, value in ((pixel, "ROWS", 24_000), (pixel, "_BATCH", 2048), (conv, "_CROP", 48), (conv, "_BATCH", 4)):
        monkeypatch.setattr(module, name, value)


def learned(examples, preset="default", *, classes=None, unlabelled=None, **settings):
    support = Support(list(examples), classes=classes or {1: "red", 2: "green"}, unlabelled=unlabelled)
    return learn(support, backbone=BACKBONE, device="cpu", engine="torch", preset=preset, **{**SMALL, **settings})


def masked(count=3):
    """Examples of red and green rectangles with label maps."""
    scenes = [picture(seed, *SIZES[seed]) for seed in range(count)]
    return [Example(pixels, f"{seed}", label_map=labels) for seed, (pixels, labels) in enumerate(scenes)]


def boxes_of(labels, numbers=(1, 2)):
    """The box of each class that a label map shows."""
    places = {number: np.nonzero(labels == number) for number in numbers}
    return {number: [(x.min(), y.min(), x.max() + 1, y.max() + 1)] for number, (y, x) in places.items() if len(y)}


def middle(labels, number):
    """The (x, y) of a pixel of a class near its middle."""
    rows, columns = np.nonzero(labels == number)
    place = np.abs(rows - rows.mean()) + np.abs(columns - columns.mean())
    return float(columns[place.argmin()]) + 0.5, float(rows[place.argmin()]) + 0.5


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


def weights(task):
    return {row["readout"]: row["weight"] for row in task.memory.facts["choice"]}


def lines(seed, height=110, width=147):
    """A noisy picture with bright lines of two pixels, and their label map."""
    random = np.random.default_rng(seed)
    pixels, labels = random.integers(90, 120, (height, width, 3), dtype=np.uint8), np.zeros((height, width), np.uint8)
    for row in random.choice(np.arange(6, height - 6, 9), 4, replace=False):
        pixels[row : row + 2], labels[row : row + 2] = 215, 1
    return pixels, labels


@pytest.mark.parametrize("preset", ["default", "best", "fast"])
def test_every_preset_finds_what_was_shown_and_tells_how_it_chose(preset):
    task = learned(masked(), preset)
    pixels, labels = picture(7, 101, 67)
    answer = task.predict(pixels)
    assert answer.labels.shape == labels.shape
    for number in (1, 2):
        assert iou(answer.labels == number, labels == number) > 0.5
    tried = [name.split()[0] for name in weights(task)]
    assert tried == {"default": ["tokens", "pixel"], "best": list(READOUTS), "fast": ["tokens"]}[preset]
    assert sum(weights(task).values()) == pytest.approx(1, abs=1e-3)
    assert {name: weight for name, weight in weights(task).items() if weight} == pytest.approx(task.memory.facts["parts"], abs=1e-3)
    assert all(0 <= row["left_out"] <= 1 for row in task.memory.facts["choice"])


def test_lines_that_tokens_cannot_see_are_left_to_the_pixel_readout():
    scenes = [lines(seed) for seed in range(3)]
    task = learned([Example(pixels, f"{seed}", label_map=labels) for seed, (pixels, labels) in enumerate(scenes)], classes=["line"])
    assert weights(task)["pixel"] >= 0.5
    pixels, labels = lines(9)
    assert iou(task.predict(pixels).labels == 1, labels == 1) > 0.6
    alone = learned([Example(pixels, f"{seed}", label_map=labels) for seed, (pixels, labels) in enumerate(scenes)], classes=["line"], readouts=("tokens",))
    assert iou(alone.predict(pixels).labels == 1, labels == 1) < 0.6


def test_a_forced_readout_answers_alone_and_is_told():
    task = learned(masked(), readouts=("pixel",))
    assert task.memory.facts["parts"] == {"pixel": 1.0}
    assert weights(task)["pixel"] == 1
    pixels, labels = picture(7, 101, 67)
    assert iou(task.predict(pixels).labels == 1, labels == 1) > 0.5


def test_more_classes_than_fitted_readouts_can_take_are_answered_by_the_tokens():
    assert list(weights(learned(masked(), most_classes=2))) == ["tokens 112", "pixel"]
    assert list(weights(learned(masked(), most_classes=1))) == ["tokens 112"]


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("readout", ["pixel", "conv"])
def test_any_number_of_steps_is_taken(readout, steps):
    task = learned(masked(2), readouts=("tokens", readout), **{f"{readout}_steps": steps})
    assert task.predict(picture(7, 50, 67)[0]).labels.shape == (50, 67)


class TestSettings:
    def test_sizes_that_were_given_stay_and_others_follow_the_labels(self):
        kind, support = method_class("analogy"), Support(masked(), classes={1: "red", 2: "green"})
        assert kind(kind.Settings(sides=(112,), pixels=300)).settled(support).settings.sides == (112,)
        assert kind(kind.Settings(sides=(112,), pixels=300)).settled(support).settings.pixels == 300
        assert kind().settled(support).settings.sides == (448, 896)

    def test_sizes_in_any_order_give_the_same_answer(self):
        one, two = learned(masked(), sides=(112, 168)), learned(masked(), sides=(168, 112))
        assert one.memory.facts["parts"] == two.memory.facts["parts"]
        assert np.array_equal(one.predict(picture(7, 101, 67)[0]).labels, two.predict(picture(7, 101, 67)[0]).labels)

    def test_learning_asks_for_every_size_and_one_picture(self):
        kind = method_class("analogy")
        found = kind(kind.Settings(sides=(112, 168), pixels=256)).wants()
        assert [(spec.side, spec.pixels) for spec in found] == [(112, 256), (168, 0)]
        assert [spec.pixels for spec in kind(kind.Settings(sides=(112, 168), readouts=("tokens",))).wants()] == [0, 0]

    def test_predicting_asks_for_the_sizes_that_were_chosen(self):
        task = learned(masked(), sides=(112, 168), readouts=("tokens",))
        assert {f"tokens {spec.side}" for spec in task.method.wants(task.memory)} == set(task.memory.facts["parts"])

    def test_a_picture_is_asked_for_where_it_was_chosen(self):
        task = learned(masked(), sides=(112, 168), readouts=("pixel",))
        assert [(spec.side, spec.pixels) for spec in task.method.wants(task.memory)] == [(112, 256), (168, 0)]


class TestCoarseLabels:
    def is_answered_by_tokens(self, examples, number=1, least=0.3):
        task = learned(examples)
        assert set(weights(task)) == {"tokens 112"}
        assert all(spec.pixels == 0 for spec in task.method.wants(task.memory))
        pixels, labels = picture(7, 101, 67)
        assert iou(task.predict(pixels).labels == number, labels == number) > least

    def test_boxes(self):
        scenes = [picture(seed, *SIZES[seed]) for seed in range(3)]
        self.is_answered_by_tokens(Example(pixels, f"{seed}", boxes=boxes_of(labels)) for seed, (pixels, labels) in enumerate(scenes))

    def test_points(self):
        scenes = [picture(seed, *SIZES[seed]) for seed in range(3)]
        points = [{n: {"positive": [middle(labels, n)]} for n in (1, 2)} for _, labels in scenes]
        self.is_answered_by_tokens((Example(pixels, f"{s}", points=points[s]) for s, (pixels, _) in enumerate(scenes)), least=0.1)

    def test_scribbles(self):
        scenes = [picture(seed, *SIZES[seed]) for seed in range(3)]
        lines = [{n: [[middle(labels, n), (middle(labels, n)[0] + 3, middle(labels, n)[1] + 2)]] for n in (1, 2)} for _, labels in scenes]
        self.is_answered_by_tokens((Example(pixels, f"{s}", scribbles=lines[s]) for s, (pixels, _) in enumerate(scenes)), least=0.1)

    def test_tags(self):
        plain = np.random.default_rng(5).integers(90, 130, (80, 101, 3), dtype=np.uint8)
        examples = [Example(picture(seed, *SIZES[seed])[0], f"{seed}", tags={1: True, 2: True}) for seed in range(2)]
        task = learned([*examples, Example(plain, "plain", tags={1: False, 2: False})])
        assert set(weights(task)) == {"tokens 112"}
        assert task.predict(plain).present == pytest.approx({"red": 0, "green": 0}, abs=0.5)

    def test_masks_beside_boxes_are_tried_by_the_pixel_readout(self):
        pixels, labels = picture(2, *SIZES[2])
        task = learned([*masked(2), Example(pixels, "boxed", boxes=boxes_of(labels))])
        assert list(weights(task)) == ["tokens 112", "pixel"]
        pixels, labels = picture(7, 101, 67)
        assert iou(task.predict(pixels).labels == 1, labels == 1) > 0.4

    @pytest.mark.parametrize("number", [0, 255])
    def test_a_label_map_that_says_nothing_beside_boxes_is_no_mask(self, number):
        pixels, labels = picture(1, *SIZES[1])
        silent = Example(picture(0, *SIZES[0])[0], "silent", label_map=np.full(SIZES[0], number, np.uint8), unlabelled="unknown")
        task = learned([silent, Example(pixels, "boxed", boxes=boxes_of(labels))])
        assert task.memory.facts["parts"] == {"tokens 112": 1.0}


class TestUnknownPixels:
    def partly(self, seed):
        """An example of which only the rectangles and a band of the background are labelled, the rest ignored."""
        pixels, labels = picture(seed, *SIZES[seed])
        shown = labels.copy()
        shown[(labels == 0) & (np.arange(SIZES[seed][1]) > 40)] = 255
        return Example(pixels, f"{seed}", label_map=shown)

    @pytest.mark.parametrize("readouts", [("tokens", "pixel"), ("pixel",)])
    def test_ignored_pixels_are_found_as_what_they_look_like(self, readouts):
        task = learned([self.partly(seed) for seed in range(3)], readouts=readouts)
        pixels, labels = picture(7, 101, 67)
        found = task.predict(pixels).labels
        assert iou(found == 1, labels == 1) > 0.4
        assert ((found > 0) & (labels == 0)).mean() < 0.1

    @pytest.mark.parametrize("readouts", [("tokens", "pixel"), ("pixel",)])
    def test_positives_alone_are_not_everywhere(self, readouts):
        task = learned(masked(), readouts=readouts, unlabelled="unknown")
        pixels, labels = picture(7, 101, 67)
        found = task.predict(pixels).labels
        assert ((found > 0) & (labels > 0)).sum() > 0.5 * (labels > 0).sum()
        assert ((found > 0) & (labels == 0)).sum() < 0.5 * (labels == 0).sum()


class TestFewImages:
    def test_one_image_is_enough(self):
        task = learned(masked(1))
        pixels, labels = picture(7, 101, 67)
        assert task.left_out["red"]["by"] == "blocks"
        assert iou(task.predict(pixels).labels == 1, labels == 1) > 0.3

    @staticmethod
    def one_each(seed):
        """An example that shows one class alone: red in even seeds, green in odd ones."""
        number = 1 + seed % 2
        pixels, labels = picture(seed, 90, 100 + seed)
        pixels[labels == 3 - number] = 110
        return Example(pixels, f"{seed}", label_map=np.where(labels == number, labels, 0))

    def in_order(self, *numbers):
        """A support of examples that show these classes in the order in which the method takes them."""
        support = Support([self.one_each(seed) for seed in range(14)], classes={1: "red", 2: "green"})
        left = iter(sorted(support.examples, key=lambda example: example.digest))
        found = [next(example for example in left if example.labels.present(number)) for number in numbers]
        return Support.of(found, support.classes, {})

    @pytest.mark.parametrize("numbers", [(1, 1, 2, 2), (1, 2, 1, 2), (1, 2, 2, 1)])
    def test_a_class_that_two_images_show_is_in_both_halves_whatever_their_order(self, numbers):
        task = learn(self.in_order(*numbers), backbone=BACKBONE, device="cpu", engine="torch", **SMALL)
        assert {row["readout"]: row["left_out"] for row in task.memory.facts["choice"]}["pixel"] > 0.3


class TestClassesWithoutExamples:
    def task(self, **settings):
        with pytest.warns(UserWarning, match="blue"):
            return learned(masked(), classes={1: "red", 2: "green", 7: "blue"}, **settings)

    @pytest.mark.parametrize("readouts", [("tokens", "pixel"), ("pixel",)])
    def test_they_are_absent_and_have_no_probability(self, readouts):
        answer = self.task(readouts=readouts).predict(picture(7, 101, 67)[0])
        assert answer.present["blue"] == 0
        assert answer.scores[3].max() < 1e-6
        assert answer.present["red"] > 0.5

    def test_they_are_not_reported(self):
        assert "blue" not in self.task().left_out


def test_what_is_learned_lies_in_memory_as_a_file_gives_it_back():
    task = learned(masked())
    assert [name for name, tensor in task.memory.tensors.items() if not tensor.is_contiguous()] == []


def test_a_dense_target_beside_masks_is_followed_whatever_is_chosen():
    scenes = [picture(seed, *SIZES[seed]) for seed in range(3)]
    examples = [Example(pixels, f"{s}", label_map=labels, dense={"brightness": pixels.mean(axis=2)}) for s, (pixels, labels) in enumerate(scenes)]
    task = learned(examples, readouts=("pixel",))
    pixels = picture(7, 101, 67)[0]
    found, truth = task.predict(pixels).dense["brightness"].squeeze(), pixels.mean(axis=2)
    assert np.abs(found - truth).mean() < np.abs(truth - truth.mean()).mean()


def test_learning_leaves_gradients_as_they_were():
    enabled = torch.is_grad_enabled()
    learned(masked(2), preset="best")
    assert torch.is_grad_enabled() == enabled
