"""Classes by their vectors as methods: against the networks run outside, from the task to its file and back, and a class more."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics.pairwise import euclidean_distances

import likewise
from likewise.errors import InputError, UsageError, WeightsError
from likewise.methods.classifiers.reading import whole_vectors
from likewise.methods.classifiers.zero_shot_model import PrototypesOfVectors, RelationOfVectors
from likewise.testing.conformance import BACKBONE

FEATURES, ATTRIBUTES = 96, 4  # class token and mean patch of a backbone of width 48
PLACE = {"backbone": BACKBONE, "device": "cpu", "engine": "torch", "precision": "float32", "side": 84}
VECTORS = {"ibis": [1, 0, 0.5, 0], "anchor": [0, 1, 0, 0.5], "crab": [1, 1, 0, 0]}
METHODS = {"zero-shot-prototypical": PrototypesOfVectors(FEATURES, ATTRIBUTES, 5), "zero-shot-relation": RelationOfVectors(FEATURES, ATTRIBUTES, 7, 6)}
QUERIES = [np.random.default_rng(seed).integers(0, 255, (60 + seed, 84, 3), dtype=np.uint8) for seed in range(4)]


@pytest.fixture
def checkpoint(tmp_path):
    def of(method):
        generator = torch.Generator().manual_seed(3)
        tensors = {f"network.{name}": torch.randn(value.shape, generator=generator) for name, value in METHODS[method].state_dict().items()}
        path = tmp_path / f"{method}.safetensors"
        save_file({"centre": 0.1 * torch.randn(FEATURES, generator=generator), **tensors}, path)
        return path, tensors

    return of


def support(*names):
    return likewise.Support([], class_vectors={name: np.array(VECTORS[name]) for name in names or VECTORS})


def rows_of(task, centre):
    """What the networks see of the queries, worked by hand: features without the training mean, of length 1."""
    (spec,) = task.method.wants()
    rows = whole_vectors(task.ready().extract([task.prepare(query) for query in QUERIES], spec)).numpy() - centre.numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def told(task):
    return np.array([[task.predict(query).probabilities[name] for name in VECTORS] for query in QUERIES])


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_pictures_and_vectors_meet_in_one_space_where_vectors_have_length_one(checkpoint):
    path, tensors = checkpoint("zero-shot-prototypical")
    task = likewise.learn(support(), method="zero-shot-prototypical", checkpoint=path, **PLACE)
    own = {name.removeprefix("network."): tensor.numpy() for name, tensor in tensors.items()}
    prototypes = np.array(list(VECTORS.values())) @ own["attribute.weight"].T + own["attribute.bias"]
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    pictures = rows_of(task, task.memory.tensors["checkpoint.centre"]) @ own["image.weight"].T + own["image.bias"]
    np.testing.assert_allclose(told(task), softmax(-euclidean_distances(pictures, prototypes, squared=True)), atol=1e-4)


def test_relations_are_those_of_every_pair_of_class_and_picture(checkpoint):
    path, tensors = checkpoint("zero-shot-relation")
    task = likewise.learn(support(), method="zero-shot-relation", checkpoint=path, **PLACE)
    own = {name.removeprefix("network."): tensor.numpy() for name, tensor in tensors.items()}

    def layer(name, x):
        return x @ own[f"{name}.weight"].T + own[f"{name}.bias"]

    classes = np.maximum(layer("attribute.fc2", np.maximum(layer("attribute.fc1", np.array(list(VECTORS.values()))), 0)), 0)
    pictures = rows_of(task, task.memory.tensors["checkpoint.centre"]) * FEATURES**0.5
    pairs = np.array([[np.concatenate([one, picture]) for one in classes] for picture in pictures])
    logits = layer("relation.fc2", np.maximum(layer("relation.fc1", pairs), 0))[..., 0]
    np.testing.assert_allclose(told(task), softmax(logits), atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_class_more_by_its_vector_equals_learning_from_all_and_survives_the_file(method, checkpoint, tmp_path):
    path, _ = checkpoint(method)
    first = likewise.learn(support("ibis", "anchor"), method=method, checkpoint=path, **PLACE)
    first.save(tmp_path / "own.task")
    grown = likewise.load(tmp_path / "own.task", device="cpu", engine="torch", precision="float32").update(support("crab"))
    grown.save(tmp_path / "grown.task")
    again = likewise.load(tmp_path / "grown.task", device="cpu", engine="torch", precision="float32")
    whole = likewise.learn(support(), method=method, checkpoint=path, **PLACE)
    assert again.digest == whole.digest
    assert again.support.class_vectors.keys() == {1, 2, 3}
    np.testing.assert_array_equal(told(again), told(whole))


def test_a_declared_class_without_a_vector_is_said_to_be_absent(checkpoint):
    given = likewise.Support([], classes=["ibis", "anchor", "crab"], class_vectors={name: VECTORS[name] for name in ("ibis", "crab")})
    with pytest.warns(UserWarning, match="anchor"):
        task = likewise.learn(given, method="zero-shot-relation", checkpoint=checkpoint("zero-shot-relation")[0], **PLACE)
    answer = task.predict(QUERIES[0])
    assert answer.probabilities["anchor"] == 0
    assert answer.probabilities["ibis"] + answer.probabilities["crab"] == pytest.approx(1, abs=1e-5)


def test_the_usual_method_of_vectors_needs_a_checkpoint_and_others_do_not_learn_from_them():
    from likewise.task.learning import usual_method

    assert usual_method(support()) == "zero-shot-prototypical"
    with pytest.raises(WeightsError, match="needs trained weights"):
        likewise.learn(support(), method="zero-shot-prototypical", **PLACE)
    with pytest.raises(InputError, match="of the kind vector") as error:
        likewise.learn(support(), method="prototypical", **PLACE)
    assert "zero-shot-prototypical" in error.value.remedy
    images = likewise.Support([likewise.Example(QUERIES[0], "a", label="ibis")])
    with pytest.raises(InputError, match="of the kind class"):
        likewise.learn(images, method="zero-shot-relation", checkpoint="random", **PLACE)


@pytest.mark.parametrize("method", METHODS)
def test_vectors_of_another_length_are_refused(method, checkpoint):
    given = likewise.Support([], class_vectors={"ibis": [1, 2, 3], "crab": [0, 1, 0]})
    with pytest.raises(InputError, match="3 numbers describe a class"):
        likewise.learn(given, method=method, checkpoint=checkpoint(method)[0], **PLACE)


def test_a_checkpoint_of_another_network_or_backbone_is_refused(checkpoint, tmp_path):
    path, tensors = checkpoint("zero-shot-relation")
    with pytest.raises(WeightsError, match="matrices"):
        likewise.learn(support(), method="zero-shot-prototypical", checkpoint=path, **PLACE)
    with pytest.raises(WeightsError, match="gives 72"):
        likewise.learn(support(), method="zero-shot-relation", checkpoint=path, **{**PLACE, "backbone": "random:vit-tiny-8"})
    save_file(tensors, tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match="mean of the training pictures"):
        likewise.learn(support(), method="zero-shot-relation", checkpoint=tmp_path / "bare.safetensors", **PLACE)


def test_a_temperature_that_cannot_be_is_refused():
    with pytest.raises(UsageError, match="temperature"):
        likewise.learn(support(), method="zero-shot-relation", checkpoint="random", temperature=0.0, **PLACE)
