"""The hallucinator as a method of whole pictures: real and made-up examples, worked outside the frame."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.neighbors import NearestCentroid

import likewise
from likewise.backbones.conv_encoders import ConvConfig, ConvEncoder
from likewise.errors import UsageError, WeightsError
from likewise.methods.classifiers.hallucinator_model import Hallucinator
from likewise.methods.classifiers.reading import pictures
from likewise.methods.registry import method_class
from likewise.testing.conformance import BACKBONE

SIDE = 32
PLACE = {"method": "hallucinator", "backbone": BACKBONE, "device": "cpu", "engine": "torch", "temperature": 1.0}
HUES = [(230, 40, 30), (30, 220, 50), (20, 60, 240)]


def picture(place, seed, size=(60, 84)):
    noise = np.random.default_rng(seed).integers(-60, 60, (*size, 3))
    return np.clip(np.array(HUES[place]) + noise, 0, 255).astype(np.uint8)


def support(shots):
    return likewise.Support(
        [likewise.Example(picture(place, 50 * place + shot), f"{place}-{shot}", label=str(place)) for place, count in enumerate(shots) for shot in range(count)]
    )


QUERIES = [picture(place, 700 + place, (70, 50 + 9 * place)) for place in (2, 0, 1, 2)]


@pytest.fixture
def parts():
    """A narrow encoder of random numbers, and a hallucinator that does something."""
    torch.manual_seed(1)
    encoder = ConvEncoder(ConvConfig(widths=(5, 7, 6, 4))).eval()
    hallucinator = Hallucinator(encoder.config.width(SIDE), 20)
    with torch.no_grad():
        for value in hallucinator.parameters():
            value += 0.1 * torch.randn_like(value)
    return encoder, hallucinator


@pytest.fixture
def checkpoint(parts, tmp_path):
    tensors = {
        f"{prefix}.{name}": value.contiguous()
        for prefix, part in zip(("feature", "hallucinator"), parts, strict=True)
        for name, value in part.state_dict().items()
    }
    save_file(tensors, tmp_path / "own.safetensors")
    return tmp_path / "own.safetensors"


def learned(checkpoint, shots, **settings):
    return likewise.learn(support(shots), checkpoint=checkpoint, side=SIDE, **PLACE, **settings)


def features(task, encoder, images):
    (spec,) = task.method.wants()
    with torch.no_grad():
        return encoder(pictures(task.ready().extract([task.prepare(image) for image in images], spec), SIDE, "imagenet"))


def test_without_made_up_examples_the_nearest_mean_is_that_of_another_library(checkpoint, parts):
    task = learned(checkpoint, [2, 3, 1], generated=0)
    names = [task.classes[example.labels.label] for example in task.support.examples]
    rows = features(task, parts[0], [example.image for example in task.support.examples]).numpy()
    outside = NearestCentroid().fit(rows[:, rows.std(axis=0) > 0], names)
    assert [task.predict(query).label for query in QUERIES] == outside.predict(features(task, parts[0], QUERIES).numpy()[:, rows.std(axis=0) > 0]).tolist()


def test_made_up_examples_stand_beside_the_real_ones_of_their_class(checkpoint, parts):
    encoder, hallucinator = parts
    task = learned(checkpoint, [2, 3, 1], generated=4)
    kept, labels = task.memory.tensors["supports"], task.memory.tensors["labels"]
    assert torch.bincount(labels).sort().values.tolist() == [5, 6, 7]
    real = features(task, encoder, [example.image for example in sorted(task.support.examples, key=lambda example: example.digest)])
    assert torch.allclose(kept[:6], real, atol=1e-5)
    made = kept[6:]
    assert bool((made >= 0).all())
    assert len(made.unique(dim=0)) == 12  # each by noise of its own
    generator = torch.Generator().manual_seed(0)
    classes = [real[labels[:6] == place] for place in range(3)]
    seeds = torch.stack([own[torch.randint(len(own), (4,), generator=generator)] for own in classes])
    with torch.no_grad():
        expected = hallucinator(seeds, torch.randn(seeds.shape, generator=generator))
    assert torch.allclose(made, expected.flatten(0, 1), atol=1e-5)


@pytest.mark.parametrize("learner", ["prototypical", "matching", "prototype_matching"])
def test_answers_are_those_of_the_learner_on_what_was_kept(checkpoint, parts, learner):
    task = learned(checkpoint, [2, 2, 1], learner=learner)
    kept, labels = task.memory.tensors["supports"], task.memory.tensors["labels"]
    asked = features(task, parts[0], QUERIES)
    means = torch.stack([kept[labels == place].mean(dim=0) for place in range(3)])
    unit = {"matching": kept, "prototype_matching": means}.get(learner)
    if unit is None:
        expected = torch.softmax(-torch.cdist(asked.double(), means.double()).square(), dim=1)
    else:
        weights = torch.softmax(asked @ (unit / (unit.norm(dim=1, keepdim=True) + 1e-5)).T, dim=1)
        expected = weights if learner == "prototype_matching" else torch.stack([weights[:, labels == place].mean(dim=1) for place in range(3)], dim=1)
        expected = expected / expected.sum(dim=1, keepdim=True)
    order = [task.classes[task.classes.numbers[place]] for place in task.memory.tensors["seen"].tolist()]
    found = torch.tensor([[task.predict(query).probabilities[name] for name in order] for query in QUERIES])
    assert torch.allclose(found, expected.float(), atol=1e-4)


def test_another_seed_makes_up_other_examples(checkpoint):
    one, same, other = (learned(checkpoint, [1, 1], seed=seed).memory.tensors["supports"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert torch.equal(one[:2], other[:2])
    assert not torch.allclose(one[2:], other[2:], atol=1e-3)


def test_what_is_no_checkpoint_of_a_hallucinator_is_refused(parts, tmp_path):
    for extra, told in (({}, "no hallucinator"), ({f"hallucinator.{k}": v for k, v in Hallucinator(5, 6).state_dict().items()}, "makes 5 numbers")):
        save_file({f"feature.{name}": value for name, value in parts[0].state_dict().items()} | extra, tmp_path / "own.safetensors")
        with pytest.raises(WeightsError, match=told):
            learned(tmp_path / "own.safetensors", [1, 1])
    with pytest.raises(UsageError, match="no published checkpoints"):
        method_class("hallucinator").converted({})


@pytest.mark.parametrize(("setting", "value"), [("learner", "prototypal"), ("generated", -2)])
def test_settings_that_cannot_be_are_refused(checkpoint, setting, value):
    with pytest.raises(UsageError, match=str(value)):
        learned(checkpoint, [1, 1], **{setting: value})
