"""MAML as a method of whole pictures: against plain gradient descent, and against its own network run outside the frame."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

import likewise
from likewise.backbones.conv_encoders import ConvConfig, ConvEncoder
from likewise.backbones.encoders import new_encoder
from likewise.cli import main
from likewise.errors import UsageError, WeightsError
from likewise.methods.classifiers.maml_model import InnerLoop, MamlNetwork, adapted, settled, support_statistics
from likewise.methods.classifiers.reading import pictures
from likewise.methods.registry import method_class
from likewise.testing.conformance import BACKBONE
from likewise.weights import read_card

PLACE = {"method": "maml", "backbone": BACKBONE, "device": "cpu", "engine": "torch", "temperature": 1.0}
SIDE, STEPS, RATE = 32, 3, 0.2
HUES = [(230, 40, 30), (30, 220, 50), (20, 60, 240)]


def picture(place, seed, size=(60, 84)):
    noise = np.random.default_rng(seed).integers(-60, 60, (*size, 3))
    return np.clip(np.array(HUES[place]) + noise, 0, 255).astype(np.uint8)


def support(shots):
    return likewise.Support(
        [likewise.Example(picture(place, 50 * place + shot), f"{place}-{shot}", label=str(place)) for place, count in enumerate(shots) for shot in range(count)]
    )


QUERIES = [picture(place, 700 + place, (70, 50 + 9 * place)) for place in (2, 0, 1, 2)]


def network(n_way):
    """Three classes by a narrow Conv-4 of random numbers, and a head that tells them apart from the first."""
    torch.manual_seed(1)
    encoder = ConvEncoder(ConvConfig(widths=(5, 7, 6, 4)))
    found = MamlNetwork(encoder, encoder.config.width(SIDE), n_way)
    torch.nn.init.normal_(found.classifier.bias)
    return found


def learned(tmp_path, own, shots, **settings):
    path = tmp_path / "own.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in own.state_dict().items()}, path)
    return likewise.learn(support(shots), checkpoint=path, side=SIDE, **{**PLACE, "steps": STEPS, "rate": RATE, **settings})


def seen(task, images):
    (spec,) = task.method.wants()
    return pictures(task.ready().extract([task.prepare(image) for image in images], spec), SIDE, "imagenet")


def in_order(task):
    """Pictures, places in the head and class names as the method takes them: by hash, classes as they appear so."""
    order = sorted(task.support.examples, key=lambda example: example.digest)
    names = list(dict.fromkeys(task.classes[example.labels.label] for example in order))
    return seen(task, [example.image for example in order]), torch.tensor([names.index(task.classes[each.labels.label]) for each in order]), names


def told(task, images, names):
    return torch.tensor([[task.predict(image).probabilities[name] for name in names] for image in images])


def test_the_examples_are_answered_as_by_the_network_after_plain_gradient_descent(tmp_path):
    own = network(3)
    task = learned(tmp_path, own, [2, 3, 1])
    images, labels, names = in_order(task)
    optimiser = torch.optim.SGD(own.parameters(), RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        cross_entropy(own(images), labels).backward()
        optimiser.step()
    with torch.no_grad():
        expected = torch.softmax(own(images), dim=1)  # its norms see the same batch as in the last pass of learning
    order = sorted(task.support.examples, key=lambda example: example.digest)
    assert torch.allclose(told(task, [example.image for example in order], names), expected, atol=1e-4)


def test_queries_are_answered_as_by_the_settled_network_outside_the_frame_and_each_by_itself(tmp_path):
    own = network(3)
    task = learned(tmp_path, own, [2, 2, 2])
    images, labels, names = in_order(task)
    moved = adapted(own, {name: value.detach() for name, value in own.named_parameters()}, images, labels, InnerLoop(steps=STEPS, rate=RATE))
    with torch.no_grad():
        expected = torch.softmax(settled(own, moved, support_statistics(own, moved, images))(seen(task, QUERIES)), dim=1)
    together = task.predict_prepared([task.prepare(query) for query in QUERIES])
    found = torch.tensor([[answer.probabilities[name] for name in names] for answer in together])
    assert torch.allclose(found, expected, atol=1e-4)
    assert torch.allclose(told(task, QUERIES, names), expected, atol=1e-4)


@pytest.mark.parametrize("ways", [2, 4])
def test_of_another_number_of_classes_all_begin_alike_and_are_told_apart_by_the_steps(tmp_path, ways):
    own = network(ways)
    before = learned(tmp_path, own, [2, 2, 2], steps=0)
    assert told(before, QUERIES, "012") == pytest.approx(torch.full((4, 3), 1 / 3).numpy(), abs=1e-5)
    after = learned(tmp_path, own, [2, 2, 2], steps=30)
    assert [after.predict(query).label for query in QUERIES] == ["2", "0", "1", "2"]


def test_without_a_step_a_head_of_as_many_classes_is_the_one_that_was_trained(tmp_path):
    task = learned(tmp_path, network(3), [1, 1, 1], steps=0)
    assert not np.allclose(told(task, QUERIES, "012"), 1 / 3, atol=0.02)


def test_a_head_for_pictures_of_another_side_is_refused(tmp_path):
    path = tmp_path / "own.safetensors"
    save_file(dict(network(3).state_dict()), path)
    with pytest.raises(WeightsError, match=r"head of \(3, 16\) on features of 64"):
        likewise.learn(support([1, 1]), checkpoint=path, side=2 * SIDE, **PLACE)


def test_an_encoder_alone_is_refused(tmp_path):
    path = tmp_path / "own.safetensors"
    save_file({name: tensor for name, tensor in network(3).state_dict().items() if name.startswith("feature.")}, path)
    with pytest.raises(WeightsError, match="no head"):
        likewise.learn(support([1, 1]), checkpoint=path, side=SIDE, **PLACE)


@pytest.mark.parametrize(("setting", "value"), [("steps", -1), ("rate", 0.0)])
def test_what_is_no_inner_loop_is_refused(setting, value):
    with pytest.raises(UsageError, match="no inner loop"):
        likewise.learn(support([1, 1]), checkpoint="random", **{setting: value}, **PLACE)


@pytest.mark.parametrize(("encoder", "inner"), [("conv4", {}), ("conv4s", {"steps": 1, "rate": 0.1}), ("resnet18", {})])
def test_a_published_checkpoint_tells_its_encoder_and_of_drawings_the_inner_loop(encoder, inner):
    official = {f"feature.{name}": tensor for name, tensor in new_encoder(encoder, seed=0).state_dict().items()}
    official |= {"classifier.weight": torch.zeros(5, 3), "classifier.bias": torch.zeros(5)}
    kind = method_class("maml")
    assert kind.published(official) == ({"encoder": encoder} | inner, "")
    assert kind.converted(official).keys() == {name for name in official if "running" not in name and "num_batches" not in name}


def test_a_file_of_the_authors_learns_and_answers(tmp_path, capsys):
    encoder = new_encoder("conv4s", seed=2).state_dict()  # theirs has running statistics that stay 0 and 1, as nothing reads them
    head = {"classifier.weight": torch.randn(5, 64, generator=torch.Generator().manual_seed(1)), "classifier.bias": torch.zeros(5)}
    torch.save({"epoch": 3, "state": {f"feature.{name}": tensor for name, tensor in encoder.items()} | head}, tmp_path / "best_model.tar")
    assert main(["weights", "convert", "maml", str(tmp_path / "best_model.tar"), str(tmp_path / "own.safetensors")]) == 0
    capsys.readouterr()
    assert read_card(tmp_path / "own.safetensors").settings == {"encoder": "conv4s", "steps": 1, "rate": 0.1}
    task = likewise.learn(support([2, 2]), checkpoint=tmp_path / "own.safetensors", steps=20, **PLACE)
    assert task.method.settings.rate == 0.1
    assert [task.predict(picture(place, 900 + place)).label for place in (1, 0)] == ["1", "0"]  # by the first channel, which is all it sees
