"""The other learners as methods of whole pictures: each against its own formulas, worked outside the frame."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.neighbors import KNeighborsClassifier

import likewise
from likewise.backbones.conv_encoders import ConvConfig, ConvEncoder
from likewise.errors import UsageError, WeightsError
from likewise.methods.classifiers.matching_model import FullContext
from likewise.methods.classifiers.reading import centred, pictures, whole_vectors
from likewise.methods.classifiers.relation_model import RelationModule, RelationNetwork
from likewise.methods.classifiers.siamese_model import SiameseNetwork
from likewise.testing.conformance import BACKBONE

ON_BACKBONE = {"backbone": BACKBONE, "device": "cpu", "engine": "torch", "side": 84}
ENCODED = {"backbone": BACKBONE, "device": "cpu", "engine": "torch", "temperature": 1.0}
HUES = [(230, 40, 30), (30, 220, 50), (20, 60, 240)]


def picture(place, seed, size=(60, 84)):
    noise = np.random.default_rng(seed).integers(-60, 60, (*size, 3))
    return np.clip(np.array(HUES[place]) + noise, 0, 255).astype(np.uint8)


def support(shots):
    """Classes "0", "1", ... with so many examples each."""
    return likewise.Support(
        [likewise.Example(picture(place, 50 * place + shot), f"{place}-{shot}", label=str(place)) for place, count in enumerate(shots) for shot in range(count)]
    )


def shown(task, images, kind="imagenet"):
    """Pictures (B, 3, side, side) as the task's encoder sees them."""
    (spec,) = task.method.wants()
    return pictures(task.ready().extract([task.prepare(image) for image in images], spec), task.method.side, kind)


def by_class(task, rows):
    """Probabilities (B, N) of predictions in the order of the names."""
    return torch.tensor([[answer.probabilities[name] for name in sorted(answer.probabilities)] for answer in rows])


def stored(folder, tensors):
    path = folder / "own.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def encoder(*, maps, widths=(5, 7, 6, 4)):
    """A narrow Conv-4 of random numbers in evaluation mode; maps as relation networks have them."""
    torch.manual_seed(1)
    padding, pooled = ((0, 0, 1, 1), 2) if maps else ((1,) * 4, 4)
    return ConvEncoder(ConvConfig(widths=widths, padding=padding, pooled=pooled, flatten=not maps)).eval()


QUERIES = [picture(place, 700 + place, (70, 50 + 9 * place)) for place in (2, 0, 1, 2)]


def test_matching_with_one_example_a_class_is_the_nearest_neighbour_by_cosine():
    task = likewise.learn(support([1, 1, 1]), method="matching", **ON_BACKBONE)
    (spec,) = task.method.wants()
    rows = centred(whole_vectors([kept[spec] for kept in task.kept]), task.memory.tensors["centre"])
    asked = centred(whole_vectors(task.ready().extract([task.prepare(query) for query in QUERIES], spec)), task.memory.tensors["centre"])
    outside = KNeighborsClassifier(1, metric="cosine").fit(rows.numpy(), ["0", "1", "2"])
    assert [task.predict(query).label for query in QUERIES] == outside.predict(asked.numpy()).tolist()


def test_matching_does_not_favour_the_class_with_more_examples():
    twice = [likewise.Example(picture(0, 3), f"{name}-{copy}", label=name) for name, copies in (("a", 1), ("b", 4)) for copy in range(copies)]
    for number, example in enumerate(twice):  # of one look, but not one picture: that would be refused
        example.image = example.image.copy()
        example.image[0, 0, 0] = number
    task = likewise.learn(likewise.Support(twice), method="matching", kernel="cosine", temperature=1.0, **ON_BACKBONE)
    told = task.predict(picture(1, 9)).probabilities
    assert told["a"] == pytest.approx(0.5, abs=0.35)
    assert told["a"] > 0.25  # by the sum of attention it would have a fifth


def test_full_context_embeddings_are_those_of_the_supports_in_the_order_of_their_hashes(tmp_path):
    own = encoder(maps=False)
    torch.manual_seed(2)
    context = FullContext(own.config.width(84))
    tensors = {f"feature.{name}": tensor for name, tensor in own.state_dict().items()} | context.state_dict()
    task = likewise.learn(support([2, 1]), method="matching", encoder="conv4", checkpoint=stored(tmp_path, tensors), **ENCODED)
    order = sorted(task.support.examples, key=lambda example: example.digest)
    with torch.no_grad():
        supports = context.supports(own(shown(task, [example.image for example in order])))
        asked = context.queries(own(shown(task, QUERIES)), supports)
    unit, q = supports / (supports.norm(dim=1, keepdim=True) + 1e-5), asked / (asked.norm(dim=1, keepdim=True) + 1e-5)
    weights = torch.softmax(100 * torch.relu(q @ unit.T), dim=1)
    shares = torch.stack([weights[:, [example.labels.label == number for example in order]].mean(dim=1) for number in task.classes.numbers], dim=1) + 1e-9
    expected = shares / shares.sum(dim=1, keepdim=True)
    assert torch.allclose(by_class(task, [task.predict(query) for query in QUERIES]), expected.float(), atol=1e-3)


@pytest.mark.parametrize("method", ["baseline", "baseline++"])
def test_a_tuned_head_answers_as_its_kept_numbers_say_and_depends_on_its_seed(method):
    given = support([3, 3, 2])
    one, other = (likewise.learn(given, method=method, seed=seed, epochs=20, **ON_BACKBONE) for seed in (0, 1))
    assert [one.predict(query).label for query in QUERIES] == ["2", "0", "1", "2"]
    assert not torch.equal(one.memory.tensors["weight"], other.memory.tensors["weight"])
    assert set(one.memory.tensors) == {"weight", "seen", "centre"} | ({"bias"} if method == "baseline" else set())


@pytest.mark.parametrize("summed", [True, False])
def test_relations_are_those_of_the_network_on_the_same_pictures(tmp_path, summed):
    own = encoder(maps=True)
    torch.manual_seed(4)
    module = RelationModule(4, (19, 19), width=6, hidden=3).eval()
    tensors = {f"feature.{name}": tensor for name, tensor in own.state_dict().items()} | {f"relation_module.{k}": v for k, v in module.state_dict().items()}
    task = likewise.learn(support([2, 2, 2]), method="relation", summed=summed, checkpoint=stored(tmp_path, tensors), **ENCODED)
    known = shown(task, [example.image for example in task.support.examples]).unflatten(0, (3, 2))
    asked = shown(task, QUERIES[:3])
    network = RelationNetwork(own, module, summed=summed, apart=False).eval()
    with torch.no_grad():
        logits = network(torch.cat([known, asked[:, None]], dim=1), 2)
    assert torch.allclose(by_class(task, [task.predict(query) for query in QUERIES[:3]]), torch.softmax(logits, dim=1), atol=1e-4)


def test_a_siamese_network_compares_with_every_example(tmp_path):
    torch.manual_seed(5)
    network = SiameseNetwork(widths=(3, 4, 5, 6), kernels=(10, 7, 4, 4), width=11).eval()
    task = likewise.learn(support([1, 2]), method="siamese", checkpoint=stored(tmp_path, dict(network.state_dict())), **ENCODED)
    known = shown(task, [example.image for example in task.support.examples], "grey")[:, :1]
    asked = shown(task, QUERIES, "grey")[:, :1]
    with torch.no_grad():
        pairs = torch.stack([network(query[None].expand(3, -1, -1, -1), known)[:, 0] for query in asked])
    expected = torch.softmax(torch.stack([pairs[:, 0], pairs[:, 1:].mean(dim=1)], dim=1), dim=1)
    assert task.method.side == 105
    assert torch.allclose(by_class(task, [task.predict(query) for query in QUERIES]), expected, atol=1e-4)


@pytest.mark.parametrize(("method", "told"), [("relation", "no relation module"), ("siamese", "no Siamese network")])
def test_a_checkpoint_of_another_learner_is_refused(tmp_path, method, told):
    tensors = {f"feature.{name}": tensor for name, tensor in encoder(maps=True).state_dict().items()}
    with pytest.raises(WeightsError, match=told):
        likewise.learn(support([1, 1]), method=method, checkpoint=stored(tmp_path, tensors), **ENCODED)


def test_a_relation_network_needs_an_encoder_of_maps(tmp_path):
    tensors = {f"feature.{name}": tensor for name, tensor in encoder(maps=False).state_dict().items()}
    with pytest.raises(WeightsError, match="no maps"):
        likewise.learn(support([1, 1]), method="relation", encoder="conv4", checkpoint=stored(tmp_path, tensors), **ENCODED)


@pytest.mark.parametrize(("method", "setting", "value"), [("matching", "kernel", "blunt"), ("baseline", "epochs", 0), ("baseline++", "rate", -0.1)])
def test_settings_of_a_learner_that_cannot_be_are_refused(method, setting, value):
    with pytest.raises(UsageError, match=str(value)):
        likewise.learn(support([1, 1]), method=method, **{setting: value}, **ON_BACKBONE)
