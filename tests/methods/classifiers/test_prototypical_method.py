"""`prototypical` as a method: features, probabilities, none of these, checkpoints."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid

import likewise
from likewise.backbones.encoders import new_encoder
from likewise.errors import InputError, UsageError, WeightsError
from likewise.methods.classifiers.frame import shown_places
from likewise.methods.classifiers.prototypical import Prototypical
from likewise.methods.classifiers.reading import centred, pictures, whole_vectors
from likewise.testing.conformance import BACKBONE

PLACE = {"backbone": BACKBONE, "device": "cpu", "engine": "torch", "method": "prototypical", "side": 84}
HUES = {"red": (230, 40, 30), "green": (30, 220, 50), "blue": (20, 60, 240)}


def picture(name, seed, size=(60, 84)):
    """A noisy picture of one colour."""
    noise = np.random.default_rng(seed).integers(-25, 25, (*size, 3))
    return np.clip(np.array(HUES[name]) + noise, 0, 255).astype(np.uint8)


def examples(names, shots=3, first=0):
    return [
        likewise.Example(picture(name, 100 * place + first + shot), f"{name}-{first + shot}", label=name)
        for place, name in enumerate(names)
        for shot in range(shots)
    ]


def strange(count, names):
    return [
        likewise.Example(np.random.default_rng(900 + k).integers(0, 255, (70, 84, 3), dtype=np.uint8), f"noise-{k}", tags=dict.fromkeys(names, False))
        for k in range(count)
    ]


@pytest.fixture(scope="module")
def task():
    return likewise.learn(likewise.Support(examples(["red", "green", "blue"])), **PLACE)


def test_the_nearest_class_mean_is_that_of_scikit_learn(task):
    features = [kept[task.method.wants()[0]] for kept in task.kept]
    rows = centred(whole_vectors(features), task.memory.tensors["centre"])
    names = [example.name.partition("-")[0] for example in task.support.examples]
    outside = NearestCentroid().fit(rows.numpy(), names)
    queries = [picture(name, 500 + k, (50 + 7 * k, 84)) for k, name in enumerate(["blue", "red", "green", "red", "blue"])]
    prepared = [task.prepare(query) for query in queries]
    spec = task.method.wants()[0]
    asked = centred(whole_vectors(task.ready().extract(prepared, spec)), task.memory.tensors["centre"])
    assert [answer.label for answer in task.predict_prepared(prepared)] == outside.predict(asked.numpy()).tolist()


def test_an_answer_names_the_class_with_its_probability_and_the_overlay_shows_it(task):
    query = picture("green", 77)
    answer = task.predict(query)
    assert answer.label == "green"
    assert answer.confidence == pytest.approx(max(answer.probabilities.values()))
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    drawn = np.asarray(answer.overlay())
    assert drawn.shape == query.shape
    assert np.array_equal(drawn[:40], query[:40])
    assert not np.array_equal(drawn[-12:], query[-12:])


def test_a_prediction_is_saved_as_a_table_of_one_line_and_as_nothing_else(task, tmp_path):
    answer = task.predict(picture("red", 5))
    (path,) = answer.save(tmp_path / "red.csv")
    assert path.read_text().splitlines()[1].startswith("red,red,")
    with pytest.raises(UsageError, match=r"red\.csv"):
        answer.save(tmp_path / "red.png")


def test_a_new_class_by_update_equals_learning_anew(task):
    grown = likewise.learn(likewise.Support(examples(["red", "green"])), **PLACE)
    blue = [example for example in examples(["red", "green", "blue"]) if example.label == "blue"]
    grown.update(likewise.Support(blue))  # which numbers it 1 by itself, as a folder would
    assert grown.classes == task.classes
    for name, tensor in task.memory.tensors.items():
        assert torch.equal(tensor, grown.memory.tensors[name]), name
    assert grown.memory.facts == task.memory.facts


def test_left_out_examples_judge_every_class_that_has_two(task):
    facts = likewise.learn(likewise.Support(examples(["red", "green"]) + examples(["blue"], shots=1, first=40)), **PLACE).memory.facts
    assert {name: told["images"] for name, told in facts["left_out"].items()} == {"red": 3, "green": 3, "blue": 0}
    assert facts["left_out"]["blue"]["accuracy"] is None
    assert facts["left_out"]["red"]["accuracy"] == 1
    assert facts["temperature_by"] == "left-out examples"


def test_one_example_a_class_takes_a_usual_temperature_on_a_backbone():
    facts = likewise.learn(likewise.Support(examples(["red", "blue"], shots=1)), **PLACE).memory.facts
    assert (facts["temperature"], facts["temperature_by"]) == (Prototypical.usual_temperature, "other pictures")


def test_one_example_a_class_leaves_the_scores_of_an_encoder_as_published():
    task = likewise.learn(likewise.Support(examples(["red", "blue"], shots=1)), checkpoint="random", encoder="conv4s", **{**PLACE, "side": 0})
    assert (task.memory.facts["temperature"], task.memory.facts["temperature_by"]) == (1, "nothing")


def test_no_image_is_refused_unless_there_are_examples_of_none_or_it_is_asked_for(task):
    assert task.memory.facts["none"] is None
    noise = np.random.default_rng(1).integers(0, 255, (84, 84, 3), dtype=np.uint8)
    assert task.predict(noise).label is not None
    asked = likewise.learn(likewise.Support(examples(["red", "green", "blue"])), reject=0.05, **PLACE)
    assert asked.memory.facts["none"]["left_out"] == 9
    assert asked.predict(picture("red", 333)).label == "red"


def test_examples_of_none_teach_to_refuse_what_is_like_them():
    names = ["red", "green", "blue"]
    task = likewise.learn(likewise.Support(examples(names) + strange(4, names)), **PLACE)
    none = task.memory.facts["none"]
    assert (none["left_out"], none["left_out_refused"], none["strange"], none["strange_refused"]) == (9, 0, 4, 4)
    noise = task.predict(np.random.default_rng(77).integers(0, 255, (84, 70, 3), dtype=np.uint8))
    assert noise.label is None
    assert sum(noise.probabilities.values()) < 0.5
    assert noise.confidence == pytest.approx(1 - sum(noise.probabilities.values()), abs=1e-6)
    assert task.predict(picture("blue", 334)).label == "blue"


def test_the_prototypes_do_not_depend_on_examples_of_none(task):
    names = ["red", "green", "blue"]
    with_others = likewise.learn(likewise.Support(examples(names) + strange(2, names)), **PLACE)
    assert torch.equal(with_others.memory.tensors["sums"], task.memory.tensors["sums"])


def test_rejection_without_anything_to_fit_it_on_is_refused_with_what_is_missing():
    with pytest.raises(InputError, match="two images of a class"):
        likewise.learn(likewise.Support(examples(["red", "blue"], shots=1)), reject=0.1, **PLACE)


@pytest.mark.parametrize(("setting", "value"), [("reject", 1.5), ("temperature", -1.0), ("encoder", "conv5"), ("pixels", "sepia")])
def test_settings_that_cannot_be_are_refused(setting, value):
    with pytest.raises(UsageError, match=setting):
        likewise.learn(likewise.Support(examples(["red", "blue"])), **{**PLACE, setting: value})


def test_an_image_of_two_classes_is_refused():
    both = likewise.Example(picture("red", 1), "both", label="red", tags={"blue": True})
    with pytest.raises(InputError, match="both: it shows 'blue' and 'red'"):
        shown_places(likewise.Support([both]))


def test_one_picture_under_two_classes_is_refused():
    twice = [likewise.Example(picture("red", 1), "one", label="red"), likewise.Example(picture("red", 1), "two", label="blue")]
    with pytest.raises(InputError, match="two: the same picture is given as 'red' in 'one' and as 'blue' here"):
        likewise.learn(likewise.Support(twice), **PLACE)


def test_a_class_may_not_have_the_name_that_stands_for_none():
    with pytest.raises(InputError, match="_none"):
        likewise.learn(likewise.Support([likewise.Example(picture("red", 1), "one", label="_none")]), **PLACE)


def test_methods_of_masks_say_which_method_learns_classes():
    with pytest.raises(InputError, match="prototypical"):
        likewise.learn(likewise.Support(examples(["red"])), method="prototype", backbone=BACKBONE, device="cpu", engine="torch")


def test_the_encoder_of_a_checkpoint_is_run_as_published_and_kept_in_the_task(tmp_path):
    from safetensors.torch import save_file

    encoder = new_encoder("conv4", seed=3).eval()
    save_file({f"feature.{name}": tensor for name, tensor in encoder.state_dict().items()}, tmp_path / "own.safetensors")
    support = likewise.Support(examples(["red", "green"], shots=2))
    settings = {**PLACE, "side": 0, "encoder": "conv4"}
    task = likewise.learn(support, checkpoint=tmp_path / "own.safetensors", temperature=1.0, **settings)
    task.save(tmp_path / "a.task")
    (tmp_path / "own.safetensors").unlink()
    again, query = likewise.load(tmp_path / "a.task", device="cpu", engine="torch"), picture("green", 9)
    spec = task.method.wants()[0]
    assert (spec.backbone, spec.side, spec.squash) == (None, 96, True)
    with torch.no_grad():
        rows = [encoder(pictures([kept[spec]], 84, "imagenet"))[0] for kept in task.kept]
        asked = encoder(pictures(task.ready().extract([task.prepare(query)], spec), 84, "imagenet"))[0]
    means = torch.stack([torch.stack(rows[:2]).mean(0), torch.stack(rows[2:]).mean(0)])
    expected = torch.softmax(-(means - asked).square().sum(1), 0)
    for each in (task, again):
        assert list(each.predict(query).probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_checkpoint_without_the_name_of_its_encoder_is_refused_with_the_names_that_there_are():
    with pytest.raises(UsageError, match=r"encoder=NAME.*conv4"):
        likewise.learn(likewise.Support(examples(["red"])), checkpoint="random", **PLACE)
    with pytest.raises(WeightsError, match="needs trained weights"):
        likewise.learn(likewise.Support(examples(["red"])), **{**PLACE, "encoder": "conv4"})


@pytest.mark.parametrize(("kind", "ink", "paper"), [("ink", 1.0, 0.0), ("paper", -0.92206 / 0.08426, (1 - 0.92206) / 0.08426)])
def test_drawings_are_normalised_as_published(kind, ink, paper):
    from likewise.backbones.features import ImageFeatures

    drawing = torch.full((3, 10, 10), 255, dtype=torch.uint8)
    drawing[:, 4, 3] = 0
    (shown,) = pictures([ImageFeatures(torch.zeros(0), torch.zeros(0), (0, 0), (9, 9), pixels=drawing)], 6, kind)
    assert shown.shape == (3, 6, 6)
    assert shown[0, 2, 1].item() == pytest.approx(ink, abs=1e-5)  # two rows and columns are cut on each side
    assert shown[2, 0, 0].item() == pytest.approx(paper, abs=1e-4)
